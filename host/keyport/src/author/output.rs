//! What all authors' commands print alike: formats, colours, and the flags for them.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use keyport_manifest::Report;
use keyport_manifest::yaml::render::{self, Told, Totals};

use super::Failure;
use super::source::Source;

/// How findings are told.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For a person: the line, a caret, what to write instead
    #[default]
    Human,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Workflow commands, which become annotations of a pull request
    Github,
}

impl From<Format> for render::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Human => Self::Human,
            Format::Json => Self::Json,
            Format::Sarif => Self::Sarif,
            Format::Github => Self::Github,
        }
    }
}

/// When output is coloured.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// Whether standard output gets colours. (https://no-color.org: any text but the empty one means no.)
    pub fn on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
            }
        }
    }
}

/// The flags of every command that tells findings.
#[derive(Args, Debug, Clone, Default)]
pub struct OutputArguments {
    /// How findings are told
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
    /// When output is coloured
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Colour,
}

impl OutputArguments {
    /// Prints reports with the texts that they are about; the exit code says whether they are fine.
    ///
    /// # Errors
    /// When standard output can't be written.
    pub fn tell(&self, reports: &[(Report, &Source)]) -> Result<ExitCode, Failure> {
        let told: Vec<Told<'_>> = reports
            .iter()
            .map(|(report, source)| Told {
                report,
                source: &source.text,
            })
            .collect();
        print(&render::render(
            self.format.into(),
            &told,
            self.format == Format::Human && self.color.on(),
        ))?;
        Ok(if Totals::of(&told).failed(self.strict) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Prints; a reader that has gone away (`| head`) is no error.
///
/// # Errors
/// When standard output can't be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Said(
            format!("the output can't be written: {error}"),
        )),
        _ => Ok(()),
    }
}
