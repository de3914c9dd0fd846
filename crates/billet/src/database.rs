//! Which database this process uses, and `billet db`: bringing it up to date, checking it, moving a site from one to another.

use crate::configuration::File;
use crate::serve::default_state_dir;
use anyhow::{Context, Result, bail};
use model::Secret;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use store::Store;

/// Where a site is, as the command line tells; the configuration file tells the rest.
#[derive(clap::Args)]
pub struct Place {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the keys and, without --database, the database are kept [default: /var/lib/billet as root, else
    /// ~/.local/state/billet].
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// A PostgreSQL database, postgres://USER@HOST/NAME, which several processes may use [default: SQLite in the state directory].
    #[arg(long, value_name = "URL", env = "BILLET_DATABASE", hide_env_values = true)]
    database: Option<String>,
}

impl Place {
    /// The configuration file, or what holds without one.
    pub fn file(&self) -> Result<File> {
        self.config.as_deref().map_or_else(|| Ok(File::default()), File::read)
    }

    /// The state directory.
    pub fn state_dir(&self, file: &File) -> Result<PathBuf> {
        self.state_dir.clone().or_else(|| file.state_dir.clone()).map_or_else(default_state_dir, Ok)
    }

    /// Opens the database, and brings it up to date.
    pub async fn open(&self, file: &File, state_dir: &Path) -> Result<Store> {
        match self.database.as_deref().or(file.database.as_ref().map(Secret::expose)) {
            Some(url) => Ok(Store::connect(state_dir, url).await?),
            None => Store::open(state_dir).await.context("state directory"),
        }
    }
}

/// `billet db`; no other process may use a SQLite database meanwhile.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Bring the tables up to date; `billet serve` does so by itself.
    Migrate,
    /// Look whether everything can be read: rows, documents, secrets.
    Check,
    /// Write the whole site into a file. Secrets in it stay sealed under seal.key, which is copied by hand.
    Export {
        /// The file, which must not be there yet.
        file: PathBuf,
    },
    /// Read a whole site from a file into an empty database.
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// Runs one of the verbs.
pub fn main(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.place.file()?;
    let state_dir = arguments.place.state_dir(&file)?;
    let store = arguments.place.open(&file, &state_dir).await?;
    let outcome = work(&store, arguments.verb).await;
    store.close().await;
    outcome
}

async fn work(store: &Store, verb: Verb) -> Result<()> {
    match verb {
        Verb::Migrate => println!("up to date (migration {})", Store::newest_migration()),
        Verb::Check => {
            let report = store.check().await?;
            for problem in &report.problems {
                println!("{problem}");
            }
            if !report.problems.is_empty() {
                bail!("{} problems in {} rows", report.problems.len(), report.rows);
            }
            println!(
                "{} rows, all of them whole; {} claims, no two of one node at one time",
                report.rows, report.claims
            );
        }
        Verb::Export { file } => {
            let rows = export(store, &file).await.with_context(|| file.display().to_string())?;
            println!("{rows} rows are in {}; its secrets are sealed under seal.key", file.display());
        }
        Verb::Import { file } => {
            let input = std::fs::File::open(&file).with_context(|| file.display().to_string())?;
            let rows =
                store.import(&mut BufReader::new(input)).await.with_context(|| file.display().to_string())?;
            println!("{rows} rows were read from {}", file.display());
        }
    }
    Ok(())
}

/// Writes the archive; a file that is not whole does not stay.
async fn export(store: &Store, path: &Path) -> Result<u64> {
    use std::os::unix::fs::OpenOptionsExt;
    let output = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = async {
        let mut out = BufWriter::new(&output);
        let rows = store.export(&mut out).await?;
        out.flush()?;
        drop(out);
        output.sync_all()?;
        anyhow::Ok(rows)
    };
    let outcome = written.await;
    if outcome.is_err() {
        // The error that is on its way says more than one of this would.
        let _ = std::fs::remove_file(path);
    }
    outcome
}
