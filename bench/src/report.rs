//! The tables as text on stdout, as build/bench.md (the same text) and as build/bench.json.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::kinds::Section;
use crate::rows::{Cell, Row, Tables};
use crate::system::{Lab, System};
use crate::{Result, command};

const MARKDOWN: &str = "build/bench.md";
const JSON: &str = "build/bench.json";

/// Prints the tables and writes both files.
pub(crate) fn publish(tables: &Tables, lab: &Lab) -> Result<()> {
    let versions = Versions::find(lab);
    let text = markdown(tables, &versions);
    print!("{text}");
    write(MARKDOWN, &text)?;
    write(JSON, &format!("{:#}\n", as_json(tables, &versions)))
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("cannot write {path}: {error}"))
}

/// What was compared.
struct Versions {
    linux: Option<String>,
    nacre: String,
    qemu: String,
}

impl Versions {
    /// A version that cannot be found is no reason to lose the figures.
    fn find(lab: &Lab) -> Self {
        let line = |program: &str, arguments: &[&str]| {
            let text = command::run(Command::new(program).args(arguments)).unwrap_or_default();
            text.lines().next().unwrap_or("unknown").to_string()
        };
        let qemu = line("qemu-system-x86_64", &["--version"]);
        Self {
            linux: lab.linux.as_ref().map(|linux| linux.version.clone()),
            nacre: line("git", &["describe", "--always", "--dirty"]),
            qemu: qemu.trim_start_matches("QEMU emulator version ").to_string(),
        }
    }
}

fn markdown(tables: &Tables, versions: &Versions) -> String {
    let mut text = String::from("# Nacre against Linux\n\n");
    let linux = versions.linux.as_deref().unwrap_or("left out");
    let _ = writeln!(
        text,
        "Linux {linux} (Debian's cloud kernel), Nacre {}, QEMU {}.",
        versions.nacre, versions.qemu
    );
    text += "Less is better. The ratio is Linux with mitigations=off over Nacre: above 1 Nacre wins.\n";
    text += "A row or a mean below the bar it should reach carries a mark.\n";
    for section in Section::ALL {
        if tables.rows(section).next().is_none() {
            continue;
        }
        let _ = write!(text, "\n## {}\n\n", section.title());
        text += &grid(&lines_of(tables, section));
    }
    let failures = tables.failures();
    if !failures.is_empty() {
        text += "\n## Rows that did not run\n\n";
        failures.iter().for_each(|failure| text += &format!("- {failure}\n"));
    }
    text
}

/// The words of a table, heading first.
fn lines_of(tables: &Tables, section: Section) -> Vec<Vec<String>> {
    let mut heading = vec!["row".to_string(), "what".to_string(), "unit".to_string()];
    heading.extend(System::ALL.map(|system| system.title().to_string()));
    heading.push("ratio".to_string());
    let mut lines = vec![heading];
    for row in tables.rows(section) {
        let mut line = vec![row.kind.name.to_string(), row.kind.what.to_string(), row.kind.unit.to_string()];
        line.extend(row.cells.iter().map(cell));
        line.push(row.ratio().map_or(String::new(), |ratio| marked(ratio, row.bar())));
        lines.push(line);
    }
    if let Some((mean, count)) = tables.mean(section) {
        let what = format!("geometric mean of {count} operations");
        let mut line = vec!["**mean**".to_string(), what];
        line.resize(6, String::new());
        line.push(marked(mean, section.bars().map(|bars| bars.mean)));
        lines.push(line);
    }
    lines
}

/// A ratio, with a mark when it is below its bar.
fn marked(ratio: f64, bar: Option<f64>) -> String {
    match bar {
        Some(bar) if ratio < bar => format!("{ratio:.2} < {bar}!"),
        _ => format!("{ratio:.2}"),
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::NotAsked => String::new(),
        Cell::Missing => "not implemented".to_string(),
        Cell::Failed(_) => "ERROR".to_string(),
        Cell::Value(value) => number(*value),
    }
}

/// Groups digits by three; shows decimals only where they say something.
fn number(value: f64) -> String {
    if value.fract() != 0.0 && value < 1000.0 {
        return if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") };
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A Markdown table with its columns aligned: names to the left, numbers to the right.
fn grid(lines: &[Vec<String>]) -> String {
    const NAMES: usize = 3;
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|word| word.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, (word, &width)) in line.iter().zip(&widths).enumerate() {
            let _ = match column < NAMES {
                true => write!(text, "| {word:<width$} "),
                false => write!(text, "| {word:>width$} "),
            };
        }
        text += "|\n";
        if index == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let end = if column < NAMES { '-' } else { ':' };
                let _ = write!(text, "|{}{end}", "-".repeat(width + 1));
            }
            text += "|\n";
        }
    }
    text
}

fn as_json(tables: &Tables, versions: &Versions) -> Value {
    let mut sections = Map::new();
    for section in Section::ALL {
        let rows: Vec<Value> = tables.rows(section).map(row_as_json).collect();
        let mean = tables.mean(section).map(|(mean, _)| mean);
        let is_mean_below_bar = section.bars().zip(mean).is_some_and(|(bars, mean)| mean < bars.mean);
        let table = json!({ "rows": rows, "geometric_mean": mean, "mean_below_bar": is_mean_below_bar });
        sections.insert(section.key().to_string(), table);
    }
    json!({
        "linux": versions.linux,
        "nacre": versions.nacre,
        "qemu": versions.qemu,
        "tables": sections,
        "errors": tables.failures(),
    })
}

fn row_as_json(row: &Row) -> Value {
    let mut object = Map::new();
    object.insert("name".to_string(), json!(row.kind.name));
    object.insert("what".to_string(), json!(row.kind.what));
    object.insert("unit".to_string(), json!(row.kind.unit));
    for system in System::ALL {
        object.insert(system.key().to_string(), json!(row.cell(system).value()));
    }
    object.insert("ratio".to_string(), json!(row.ratio()));
    object.insert("below_bar".to_string(), json!(row.is_below_bar()));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_517_586_041.0), "1,517,586,041");
        assert_eq!(number(322.0), "322");
        assert_eq!(number(321.5), "321.5");
        assert_eq!(number(1.704), "1.70");
        assert_eq!(number(1234.5678), "1,235");
    }

    #[test]
    fn a_ratio_below_its_bar_is_marked() {
        assert_eq!(marked(0.79, Some(0.8)), "0.79 < 0.8!");
        assert_eq!(marked(0.8, Some(0.8)), "0.80");
        assert_eq!(marked(0.5, None), "0.50");
    }

    #[test]
    fn columns_are_aligned() {
        let line = |words: [&str; 4]| words.map(str::to_string).to_vec();
        let text = grid(&[line(["row", "what", "unit", "Linux"]), line(["a", "b", "c", "1"])]);
        assert_eq!(
            text,
            "| row | what | unit | Linux |\n|-----|------|------|------:|\n| a   | b    | c    |     1 |\n"
        );
    }
}
