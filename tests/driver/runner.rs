//! Runs a list of tests, two at a time, and prints the verdict.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

/// More would make the guests of a two-core machine so slow that silence means nothing.
const AT_ONCE: usize = 2;

/// Why a test did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It failed, with a report.
    Failed(String),
    /// This machine lacks what the test needs.
    Skipped(String),
}

impl From<String> for Stop {
    fn from(report: String) -> Self {
        Self::Failed(report)
    }
}

/// What a test returns.
pub type TestResult = Result<(), Stop>;

/// A test: its name, which is also that of its log, and what it does.
pub type Test = (String, Box<dyn Fn(&str) -> TestResult + Send + Sync>);

/// A test that is many: it returns the results of all.
pub type Suite = (String, Box<dyn Fn(&str) -> Result<Vec<(String, TestResult)>, Stop> + Send + Sync>);

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Not run, for lack of something.
    pub skipped: usize,
}

impl Tally {
    /// `N passed, N failed`, and the skipped if there are any.
    pub fn summary(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }

    fn count(&mut self, result: &TestResult) {
        match result {
            Ok(()) => self.passed += 1,
            Err(Stop::Failed(_)) => self.failed += 1,
            Err(Stop::Skipped(_)) => self.skipped += 1,
        }
    }
}

/// Runs the tests whose name contains `filter`. What is in a suite is known only after it ran, so suites run too
/// unless the filter means one of the tests; of their results those that the filter fits count.
pub fn run(tests: Vec<Test>, suites: Vec<Suite>, filter: &str) -> Tally {
    let tests: Vec<Test> = tests.into_iter().filter(|(name, _)| name.contains(filter)).collect();
    let means_a_test = !filter.is_empty() && !tests.is_empty();
    let suites = suites.into_iter().filter(|(name, _)| !means_a_test || filter.starts_with(name.as_str()));
    let jobs: Vec<Job> = suites.map(Job::Suite).chain(tests.into_iter().map(Job::Test)).collect();
    let jobs = Mutex::new(jobs.into_iter());
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    for (name, result, took) in job.run(filter) {
                        // The lock also keeps the lines of two reports apart.
                        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                        print(&name, &result, took);
                        tally.count(&result);
                    }
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

enum Job {
    Test(Test),
    Suite(Suite),
}

impl Job {
    fn run(&self, filter: &str) -> Vec<(String, TestResult, Option<Duration>)> {
        let started = Instant::now();
        match self {
            Self::Test((name, test)) => vec![(name.clone(), test(name), Some(started.elapsed()))],
            Self::Suite((name, suite)) => match suite(name) {
                Ok(results) => results
                    .into_iter()
                    .map(|(test, result)| (format!("{name}/{test}"), result, None))
                    .filter(|(test, ..)| test.contains(filter))
                    .collect(),
                Err(stop) => vec![(name.clone(), Err(stop), None)],
            },
        }
    }
}

fn next(jobs: &Mutex<std::vec::IntoIter<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Parts of a suite have no time of their own.
fn print(name: &str, result: &TestResult, took: Option<Duration>) {
    let took = took.map(|took| format!(" ({:.1} s)", took.as_secs_f64())).unwrap_or_default();
    match result {
        Ok(()) => println!("ok {name}{took}"),
        Err(Stop::Skipped(reason)) => println!("skipped {name}: {reason}"),
        Err(Stop::Failed(report)) => println!("FAILED {name}: {}", report.replace('\n', "\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_counts_what_the_filter_lets_through() {
        let tests = || -> Vec<Test> {
            vec![
                ("boot/a".to_string(), Box::new(|_: &str| Ok(()))),
                ("boot/b".to_string(), Box::new(|_: &str| Err("no".to_string().into()))),
                ("gpu".to_string(), Box::new(|_: &str| Err(Stop::Skipped("no GPU".to_string())))),
            ]
        };
        let suites = || -> Vec<Suite> {
            vec![("ktest".to_string(), Box::new(|_: &str| Ok(vec![("boot".to_string(), Ok(()))])))]
        };
        assert_eq!(run(tests(), suites(), "").summary(), "2 passed, 1 failed, 1 skipped");
        assert_eq!(run(tests(), suites(), "boot").summary(), "1 passed, 1 failed");
        assert_eq!(run(tests(), suites(), "oo").summary(), "1 passed, 1 failed");
        assert_eq!(run(tests(), suites(), "ktest/").summary(), "1 passed, 0 failed");
        assert_eq!(run(tests(), vec![], "a").summary(), "1 passed, 0 failed");
    }
}
