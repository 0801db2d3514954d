//! `mcp daemon logs`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use mcp_daemon::log::aside;
use mcp_daemon::place::Place;

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::clean;

/// Prints the end of a server's log, and what comes.
pub(super) fn logs(ctx: &Ctx, place: &Place, name: &str, follow: bool, lines: usize) -> Result<Exit, Failure> {
    let path = place.log(name);
    let failed = |e: io::Error| Failure::file(anyhow::Error::new(e).context(format!("read {}", path.display())));
    let known = mcp_daemon::identity::check_name(name).is_ok() && (path.exists() || aside(&path).exists());
    if !known {
        let mut failure = Failure::missing(format_args!("there is no log of `{name}`"));
        failure.exit = Exit::No;
        let names = names(place);
        return Err(if names.is_empty() { failure } else { failure.hint(format!("there are logs of: {}", names.join(", "))) });
    }
    let mut last = VecDeque::new();
    let mut position = 0;
    for file in [aside(&path), path.clone()] {
        let opened = match File::open(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(failed)?,
        };
        position = 0;
        let mut reader = BufReader::new(opened);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 {
                break;
            }
            position += read as u64;
            if last.len() >= lines {
                last.pop_front();
            }
            last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }
    for line in last.into_iter().rev().take(lines).rev() {
        ctx.ui.out(clean(&line));
    }
    if follow {
        go_on(ctx, &path, position).map_err(failed)?;
    }
    Ok(Exit::Done)
}

/// Prints what is added, until the reader leaves or somebody interrupts.
fn go_on(ctx: &Ctx, path: &Path, mut position: u64) -> io::Result<()> {
    let mut rest = Vec::new();
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let mut file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        if file.metadata()?.len() < position {
            // It was put aside and begun anew.
            position = 0;
        }
        file.seek(SeekFrom::Start(position))?;
        position += file.read_to_end(&mut rest)? as u64;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            ctx.ui.out(clean(String::from_utf8_lossy(&line).trim_end()));
        }
    }
}

fn names(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.logs()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".log")?.to_owned())).collect();
    names.sort();
    names
}
