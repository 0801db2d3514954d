//! Many processes on one file: of ours, and of programs that know no lock.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::place::{CLAUDE, Client, JSON, Place, TOML, YAML, install, told};

const PROCESSES: usize = 32;

/// How long another program writes the file again and again.
const HAMMERED: Duration = Duration::from_secs(3);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("races::many_processes_on_a_json_file", || many(JSON)),
        Trial::test("races::many_processes_under_a_lock_directory", || many(CLAUDE)),
        Trial::test("races::many_processes_on_a_toml_file", || many(TOML)),
        Trial::test("races::many_processes_on_a_yaml_file", || many(YAML)),
        Trial::test("races::many_processes_on_a_file_that_is_not_there", nobody_was_first),
        Trial::test("races::overlapping_sets_of_clients", overlapping),
        Trial::test("races::a_program_that_writes_in_place", || hammered(in_place)),
        Trial::test("races::a_program_that_replaces", || hammered(replacing)),
    ]
}

fn start(place: &Place, words: &str) -> io::Result<Child> {
    place.command(words.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Starts all, and expects all to succeed.
fn all_done(place: &Place, commands: &[String]) -> Result<(), Failed> {
    let children: Vec<Child> = commands.iter().map(|words| start(place, words)).collect::<Result<_, _>>()?;
    let outputs: Vec<_> = children.into_iter().map(Child::wait_with_output).collect::<Result<_, _>>()?;
    match outputs.iter().find(|output| !output.status.success()) {
        Some(output) => Err(told(output).into()),
        None => Ok(()),
    }
}

fn many(client: Client) -> Result<(), Failed> {
    let place = Place::with(&[client]);
    let commands: Vec<String> = (0..PROCESSES).map(|n| install(&format!("s{n}"), &[client])).collect();
    all_done(&place, &commands)?;
    let mut expected: Vec<String> = (0..PROCESSES).map(|n| format!("s{n}")).chain(["theirs".to_owned()]).collect();
    let mut servers = place.servers(client)?;
    expected.sort();
    servers.sort();
    assert_eq!(servers, expected);
    for _ in 0..PROCESSES {
        place.done("undo --yes")?;
    }
    assert_eq!(place.read(client).as_deref(), Some(client.text.as_bytes()), "all taken back");
    assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn nobody_was_first() -> Result<(), Failed> {
    for client in [JSON, TOML, YAML] {
        let place = Place::new();
        all_done(&place, &(0..PROCESSES / 2).map(|n| install(&format!("s{n}"), &[client])).collect::<Vec<_>>())?;
        assert_eq!(place.servers(client)?.len(), PROCESSES / 2);
        for _ in 0..PROCESSES / 2 {
            place.done("undo --yes")?;
        }
        assert_eq!(place.read(client), None, "{}", client.file);
    }
    Ok(())
}

/// Two that wait for each other would do so for half a minute, and fail.
fn overlapping() -> Result<(), Failed> {
    let sets: [&[Client]; 4] = [&[JSON, TOML, YAML], &[YAML, JSON], &[TOML, CLAUDE, JSON], &[CLAUDE, YAML]];
    let place = Place::with(&[JSON, TOML, YAML, CLAUDE]);
    let commands: Vec<String> = (0..24).map(|n| install(&format!("s{n}"), sets[n % sets.len()])).collect();
    let start = Instant::now();
    all_done(&place, &commands)?;
    assert!(start.elapsed() < Duration::from_secs(25), "took {:?}", start.elapsed());
    for client in [JSON, TOML, YAML, CLAUDE] {
        let sets_with = sets.iter().filter(|set| set.iter().any(|c| c.id == client.id)).count();
        assert_eq!(place.servers(client)?.len(), 1 + 24 / sets.len() * sets_with, "{}", client.file);
    }
    Ok(())
}

/// One round of a program that reads, adds a key of its own and writes.
struct Round {
    read: Instant,
    written: Instant,
    servers: Vec<String>,
}

fn in_place(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

fn replacing(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("theirs");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

fn hammered(write: fn(&Path, &str) -> io::Result<()>) -> Result<(), Failed> {
    let place = Place::with(&[JSON]);
    let path = place.path(JSON);
    let is_over = AtomicBool::new(false);
    let begin = Instant::now();
    let (rounds, installs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| -> Result<Vec<Round>, String> {
            let mut rounds: Vec<Round> = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let read = Instant::now();
                let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
                let mut config: Value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))?;
                let keys = config["theirs"].as_object().map_or(0, serde_json::Map::len);
                if keys != rounds.len() {
                    return Err(format!("of {} keys of theirs {keys} are left: {text}", rounds.len()));
                }
                let servers = config["mcpServers"].as_object().map(|s| s.keys().cloned().collect()).unwrap_or_default();
                config["theirs"][format!("k{keys}")] = json!(keys);
                write(&path, &serde_json::to_string_pretty(&config).unwrap()).map_err(|e| e.to_string())?;
                rounds.push(Round { read, written: Instant::now(), servers });
                // From hardly any pause to one in which a command fits.
                std::thread::sleep(Duration::from_micros([50, 400, 3_000, 40_000][rounds.len() % 4]));
            }
            Ok(rounds)
        });
        let mut installs: BTreeMap<String, (Instant, Instant, i32)> = BTreeMap::new();
        while begin.elapsed() < HAMMERED {
            let (name, start) = (format!("s{}", installs.len()), Instant::now());
            let output = place.mcp(&install(&name, &[JSON]));
            let code = output.status.code().unwrap_or(-1);
            let said = told(&output);
            if !(code == 0 || code == 3 && said.contains("keeps changing")) {
                is_over.store(true, Ordering::Relaxed);
                return Err(format!("{name}: {said}"));
            }
            installs.insert(name, (start, Instant::now(), code));
        }
        is_over.store(true, Ordering::Relaxed);
        theirs.join().unwrap().map(|rounds| (rounds, installs))
    })?;
    let last = place.servers(JSON)?;
    let text = std::fs::read_to_string(&path)?;
    let keys = serde_json::from_str::<Value>(&text)?["theirs"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(keys, rounds.len(), "keys of theirs are lost: {text}");
    let (mut kept, mut overwritten, mut refused) = (0, 0, 0);
    for (name, (start, end, code)) in &installs {
        // What they read before we wrote and wrote after we did is without our entry, and nothing we do can help that.
        let stale = |r: &Round| r.read <= *end && r.written >= *start && !r.servers.contains(name);
        match (code, last.contains(name)) {
            (0, true) => kept += 1,
            (0, false) if rounds.iter().any(stale) => overwritten += 1,
            (3, false) => refused += 1,
            (code, is_there) => return Err(format!("{name} ended with {code}, there: {is_there}").into()),
        }
    }
    eprintln!(
        "another program wrote {} times; of ours {kept} stayed, {overwritten} were overwritten by it, {refused} gave up",
        rounds.len()
    );
    assert!(kept > 0 && rounds.len() > 20, "{kept} kept in {} rounds", rounds.len());
    Ok(())
}
