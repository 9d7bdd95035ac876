//! Results of the tests inside the kernel, read from what the test boot writes.
//!
//! Lines are `ktest: ok NAME`, `ktest: FAILED NAME: reason` and, last, `ktest: done N passed M failed`.

/// The result of one test inside the kernel: its name, and the reason if it failed.
pub type KernelTest = (String, Result<(), String>);

/// Reads all results from the output of a boot.
///
/// # Errors
/// A sentence when the summary is missing or contradicts the lines.
pub fn parse(output: &str) -> Result<Vec<KernelTest>, String> {
    let lines = output.lines().filter_map(|line| line.split_once("ktest: ").map(|(_, rest)| rest));
    let mut tests = Vec::new();
    let mut summary = None;
    for line in lines {
        if let Some(name) = line.strip_prefix("ok ") {
            tests.push((name.trim().to_string(), Ok(())));
        } else if let Some(failure) = line.strip_prefix("FAILED ") {
            let (name, reason) = failure.split_once(": ").unwrap_or((failure, "no reason given"));
            tests.push((name.trim().to_string(), Err(reason.to_string())));
        } else if let Some(counts) = line.strip_prefix("done ") {
            summary = Some(counts.trim().to_string());
        }
    }
    let failed = tests.iter().filter(|(_, result)| result.is_err()).count();
    let expected = format!("{} passed {failed} failed", tests.len() - failed);
    match summary {
        None => Err(format!("the kernel's tests did not finish (so far {expected})")),
        Some(summary) if summary == expected => Ok(tests),
        Some(summary) => Err(format!("the kernel says `{summary}`, its lines say `{expected}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_between_other_lines() {
        let output = "boot\n[0.1] ktest: ok mm::buddy\nktest: FAILED sched::wake: lost 1: twice\n\
                      ktest: done 1 passed 1 failed\nbye";
        let tests = parse(output).unwrap();
        assert_eq!(tests[0], ("mm::buddy".to_string(), Ok(())));
        assert_eq!(tests[1], ("sched::wake".to_string(), Err("lost 1: twice".to_string())));
    }

    #[test]
    fn a_missing_or_wrong_summary_is_an_error() {
        assert!(parse("ktest: ok a\n").unwrap_err().contains("did not finish"));
        assert!(parse("ktest: ok a\nktest: done 2 passed 0 failed\n").unwrap_err().contains("2 passed"));
    }
}
