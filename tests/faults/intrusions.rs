//! Another program comes in between, at every system call from the first that changes something: what it wrote is never
//! lost, and a folder it takes away is none of our business.

use std::cell::Cell;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use mcp_testkit::fault::{self, End};

use crate::kills::is_change;
use crate::place::{CLAUDE, Client, JSON, Place, TOML, install};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, client, intrude: fn(&Path, &str)| {
        let name = format!("intrusion_anywhere::{name}");
        Trial::test(name.clone(), move || sweep(&name, client, intrude))
    };
    let vanish = "intrusion_anywhere::the_folder_vanishes";
    vec![
        trial("written_in_place_json", JSON, |path, text| std::fs::write(path, text).unwrap()),
        trial("written_in_place_toml", TOML, |path, text| std::fs::write(path, text).unwrap()),
        trial("written_in_place_under_a_lock_directory", CLAUDE, |path, text| std::fs::write(path, text).unwrap()),
        trial("replaced", JSON, |path, text| {
            let beside = path.with_extension("theirs");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, path).unwrap();
        }),
        Trial::test(vanish, move || vanishing(vanish)),
    ]
}

/// Runs `mcp` and lets `intrude` loose at the counted call at `position`. Returns how it ended, and what it complained;
/// `None` when there were no so many calls.
fn disturbed(place: &Place, words: &str, position: usize, intrude: impl Fn()) -> Result<Option<(End, String)>, Failed> {
    let seen = Cell::new(0);
    // The program stands still while its call is looked at.
    let matches = |_: &_| {
        if seen.replace(seen.get() + 1) == position {
            intrude();
        }
        false
    };
    let outcome = fault::run_failing(place.command(words.split(' ')), place.root(), &matches, 0, 0)?;
    let said = format!("{:?}: {}", outcome.calls.get(position), String::from_utf8_lossy(&outcome.stderr));
    Ok((seen.get() > position).then_some((outcome.end, said)))
}

/// The first call that changes something.
fn first_change(client: Client, words: &str) -> Result<usize, Failed> {
    let place = Place::with(&[client]);
    let calls = fault::trace(place.command(words.split(' ')), place.root())?.calls;
    Ok(calls.iter().position(|call| is_change(call, place.root())).ok_or("nothing was changed")?)
}

fn sweep(name: &str, client: Client, intrude: fn(&Path, &str)) -> Result<(), Failed> {
    let words = install("ours", &[client]);
    let theirs = client.text.replacen("theirs", "from_them", 2);
    let (mut both, mut only_theirs, mut refused) = (0, 0, 0);
    for position in first_change(client, &words)?.. {
        let place = Place::with(&[client]);
        let path = place.path(client);
        let Some((end, said)) = disturbed(&place, &words, position, || intrude(&path, &theirs))? else { break };
        let at = || format!("disturbed at {position}, {said}");
        let now = String::from_utf8(place.read(client).ok_or_else(at)?)?;
        assert!(now.contains("from_them"), "{}: what they wrote is lost: {now}", at());
        match end {
            // Theirs came after ours and knew nothing of it.
            End::Exited(0) if now == theirs => only_theirs += 1,
            End::Exited(0) => {
                assert!(place.servers(client)?.contains(&"ours".to_owned()), "{}: {now}", at());
                place.done("undo --yes")?;
                assert_eq!(place.read(client).as_deref(), Some(theirs.as_bytes()), "{}: taken back", at());
                both += 1;
            }
            End::Exited(3) => {
                assert_eq!(now, theirs, "{}", at());
                refused += 1;
            }
            end => return Err(format!("{}: {end:?}", at()).into()),
        }
        assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new(), "{}", at());
    }
    eprintln!("{name}: {both} times both are there, {only_theirs} times theirs came last, {refused} times ours was refused");
    assert!(both > 20 && only_theirs > 5, "both {both} times, theirs last {only_theirs} times");
    Ok(())
}

/// The client's folder is moved away. The file in it has the old bytes or the new ones.
fn vanishing(name: &str) -> Result<(), Failed> {
    let words = install("ours", &[JSON]);
    let undisturbed = Place::with(&[JSON]);
    undisturbed.done(&words)?;
    let new = undisturbed.read(JSON);
    let (mut made_anew, mut moved_done, mut refused) = (0, 0, 0);
    for position in first_change(JSON, &words)?.. {
        let place = Place::with(&[JSON]);
        let (folder, away) = (place.home().join(".cursor"), place.home().join("away"));
        let Some((end, said)) = disturbed(&place, &words, position, || std::fs::rename(&folder, &away).unwrap())? else { break };
        let at = || format!("vanished at {position}, {said}");
        let moved = std::fs::read(away.join("mcp.json")).ok();
        assert!(moved.as_deref() == Some(JSON.text.as_bytes()) || moved == new, "{}: {moved:?}", at());
        match end {
            End::Exited(0) if moved == new => moved_done += 1,
            // A folder that is not there is made.
            End::Exited(0) => {
                assert!(place.servers(JSON)?.contains(&"ours".to_owned()), "{}", at());
                made_anew += 1;
            }
            End::Exited(3) => {
                assert!(said.contains("mcp.json") && moved.as_deref() == Some(JSON.text.as_bytes()), "{}", at());
                assert!(!place.path(JSON).exists(), "{}", at());
                refused += 1;
            }
            end => return Err(format!("{}: {end:?}", at()).into()),
        }
    }
    eprintln!("{name}: made anew {made_anew} times, moved with the new bytes {moved_done} times, refused {refused} times");
    assert!(made_anew > 5 && moved_done > 5, "made anew {made_anew} times, moved {moved_done} times");
    Ok(())
}
