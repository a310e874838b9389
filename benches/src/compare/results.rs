//! What criterion wrote down: per case and round the median time of an iteration.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::statistics::median;

/// Nanoseconds of each round by case.
#[derive(Debug, Default)]
pub(super) struct Results(BTreeMap<String, Vec<f64>>);

/// What a round is called in criterion's folders.
pub(super) fn name(round: usize) -> String {
    format!("round-{round}")
}

impl Results {
    /// Of all rounds; a case that is not in each of them is an error.
    pub(super) fn read(folder: &Path, rounds: usize) -> io::Result<Results> {
        let mut results = Results::default();
        for round in 0..rounds {
            results.search(folder, &name(round))?;
        }
        match results.0.iter().find(|(_, times)| times.len() != rounds) {
            Some((case, times)) => {
                Err(io::Error::other(format!("{case} was measured in {} of {rounds} rounds", times.len())))
            }
            None => Ok(results),
        }
    }

    /// Below every folder, at whatever depth the case's name made.
    fn search(&mut self, folder: &Path, round: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == round) {
                let case = json(&path.join("benchmark.json"))?;
                let sample = json(&path.join("sample.json"))?;
                let case = case["full_id"].as_str().ok_or_else(|| io::Error::other("a case without its name"))?;
                self.0.entry(case.to_owned()).or_default().push(per_iteration(&sample, &path)?);
            } else if path.is_dir() {
                self.search(&path, round)?;
            }
        }
        Ok(())
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.0.iter().map(|(case, times)| (&**case, &**times))
    }

    pub(super) fn of(&self, case: &str) -> Option<&[f64]> {
        self.0.get(case).map(|times| &**times)
    }
}

#[cfg(test)]
impl<'a> FromIterator<(&'a str, Vec<f64>)> for Results {
    fn from_iter<I: IntoIterator<Item = (&'a str, Vec<f64>)>>(cases: I) -> Results {
        Results(cases.into_iter().map(|(case, times)| (case.to_owned(), times)).collect())
    }
}

fn per_iteration(sample: &Value, path: &Path) -> io::Result<f64> {
    let numbers = |name: &str| sample[name].as_array().map(|list| list.iter().filter_map(Value::as_f64).collect());
    let (iterations, times): (Option<Vec<f64>>, Option<Vec<f64>>) = (numbers("iters"), numbers("times"));
    match (iterations, times) {
        (Some(iterations), Some(times)) if !times.is_empty() && iterations.len() == times.len() => {
            Ok(median(&times.iter().zip(&iterations).map(|(time, iterations)| time / iterations).collect::<Vec<_>>()))
        }
        _ => Err(io::Error::other(format!("{}: no sample of criterion's", path.display()))),
    }
}

fn json(path: &Path) -> io::Result<Value> {
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
