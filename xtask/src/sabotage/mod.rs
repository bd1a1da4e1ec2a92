//! The sabotage score: how many of the bugs in `sabotage/` the simulation finds.

mod bug;
mod hunt;
mod tree;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use self::bug::Bug;
use self::hunt::{Ground, Verdict};
use crate::Outcome;

const USAGE: &str = "expected `sabotage [NAME...] [--sample N] [--seed S] [--list]`";
const FOLDER: &str = "sabotage";
const DAY: u64 = 24 * 60 * 60;

/// What is asked for.
#[derive(Debug, Default)]
struct Request {
    /// All bugs, if none is named.
    names: Vec<String>,
    /// How many of them to take.
    sample: Option<usize>,
    /// Which ones, counted in samples.
    seed: Option<u64>,
    list: bool,
}

/// Plants one bug after the other and tells which ones the simulation finds.
pub(crate) fn command(arguments: &[String]) -> Outcome {
    let request = Request::parse(arguments)?;
    let bugs = request.choose(every_bug()?)?;
    if request.list {
        for Bug { name, about, breaks, .. } in &bugs {
            println!("{name}\n    {about}\n    {breaks}");
        }
        return Ok(());
    }
    let ground = Ground::prepare()?;
    eprintln!("building and hunting without a bug, then with {} of them", bugs.len());
    match ground.without_a_bug()? {
        Verdict::Clean => score(&ground, &bugs),
        Verdict::Found(why) | Verdict::Failed(why) | Verdict::NotBuilt(why) => {
            Err(format!("the score means nothing, since without a bug: {why}").into())
        }
    }
}

impl Request {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self::default();
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            match argument {
                "--list" => request.list = true,
                "--sample" => request.sample = Some(arguments.next().ok_or(USAGE)?.parse()?),
                "--seed" => request.seed = Some(arguments.next().ok_or(USAGE)?.parse()?),
                name if !name.starts_with('-') => request.names.push(name.to_owned()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(request)
    }

    fn choose(&self, mut bugs: Vec<Bug>) -> Outcome<Vec<Bug>> {
        if let Some(name) = self.names.iter().find(|name| bugs.iter().all(|b| b.name != **name)) {
            return Err(format!("no bug `{name}`; `sabotage --list` shows those there are").into());
        }
        bugs.retain(|bug| self.names.is_empty() || self.names.contains(&bug.name));
        if let Some(size) = self.sample.filter(|size| *size < bugs.len()) {
            let seed = match self.seed {
                Some(seed) => seed,
                None => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / DAY,
            };
            rotate(&mut bugs, size, seed);
            bugs.truncate(size);
        }
        Ok(bugs)
    }
}

/// Samples lie one behind the other, so that a row of seeds goes through all bugs.
fn rotate<T>(bugs: &mut [T], size: usize, seed: u64) {
    let start = u128::from(seed) * size as u128 % bugs.len().max(1) as u128;
    bugs.rotate_left(usize::try_from(start).unwrap_or_default());
}

/// The bugs by name. All of them must fit the working tree, whichever are chosen: one that no
/// longer does is told of at once.
fn every_bug() -> Outcome<Vec<Bug>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(FOLDER)? {
        files.push(entry?.path());
    }
    files.sort();
    let (mut bugs, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        match bug(&file) {
            Ok(bug) => bugs.push(bug),
            Err(why) => wrong.push(format!("{}: {why}", file.display())),
        }
    }
    if wrong.is_empty() { Ok(bugs) } else { Err(wrong.join("\n").into()) }
}

fn bug(file: &Path) -> Outcome<Bug> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let bug = Bug::parse(&name, &fs::read_to_string(file)?)?;
    let read = |path: &str| fs::read_to_string(path).map_err(|why| format!("{path}: {why}").into());
    bug.plant(read)?;
    Ok(bug)
}

fn score(ground: &Ground, bugs: &[Bug]) -> Outcome {
    let width = bugs.iter().map(|bug| bug.name.len()).max().unwrap_or_default();
    let mut wrong = Vec::new();
    for bug in bugs {
        let name = &bug.name;
        let (verdict, took) = ground.with(bug)?;
        let (word, line) = match verdict {
            Verdict::Found(line) => ("found", line),
            Verdict::Clean => ("missed", "the hunt was clean".to_owned()),
            Verdict::Failed(why) => ("missed", why),
            Verdict::NotBuilt(why) => ("broken", why),
        };
        println!("{name:<width$}  {word:<6}  {:>5.1} s  {line}", took.as_secs_f64());
        if word != "found" {
            wrong.push(format!("{word}: {FOLDER}/{name}.txt"));
        }
    }
    println!("found {} of {}", bugs.len() - wrong.len(), bugs.len());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn request(arguments: &str) -> Outcome<Request> {
        Request::parse(&arguments.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn names(bugs: &[Bug]) -> Vec<&str> {
        bugs.iter().map(|bug| bug.name.as_str()).collect()
    }

    fn bugs(count: usize) -> Vec<Bug> {
        let text = "# A.\n# Breaks I1: b.\nfile a.rs\n<<<<\na\n====\nb\n>>>>\n";
        let bug = |number| Bug::parse(&format!("bug-{number}"), text).unwrap();
        (0..count).map(bug).collect()
    }

    #[test]
    fn named_bugs_are_chosen() {
        let chosen = request("bug-2 bug-0").unwrap().choose(bugs(4)).unwrap();
        assert_eq!(names(&chosen), ["bug-0", "bug-2"]);
        assert!(request("bug-7").unwrap().choose(bugs(4)).is_err());
        for wrong in ["--sample", "--sample x", "--seed", "--all"] {
            assert!(request(wrong).is_err());
        }
    }

    #[test]
    fn a_row_of_samples_goes_through_all_bugs() {
        for (count, size) in [(10, 3), (9, 3), (7, 5), (4, 1)] {
            let mut seen = BTreeSet::new();
            for seed in 20_000..20_000 + usize::div_ceil(count, size) {
                let request = request(&format!("--sample {size} --seed {seed}")).unwrap();
                let chosen = request.choose(bugs(count)).unwrap();
                assert_eq!(chosen.len(), size);
                seen.extend(chosen.into_iter().map(|bug| bug.name));
            }
            assert_eq!(seen.len(), count);
        }
        let all = request("--sample 9").unwrap().choose(bugs(4)).unwrap();
        assert_eq!(all.len(), 4);
    }
}
