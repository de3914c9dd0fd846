//! `billet password`: a new password for a user of the site, set in its database; no other process may use a SQLite database meanwhile.

use crate::database::Place;
use anyhow::{Context, Result, bail};
use api::identity::lost_password;
use model::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{BufRead, Read, Stdin, Write};

/// Longest line that is read, in bytes; what is too long for a password is refused by that.
const LINE: u64 = 64 << 10;

/// Arguments of `billet password`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The domain's name.
    #[arg(long, value_name = "NAME", default_value = "Default")]
    domain: String,
    /// The user.
    #[arg(default_value = "admin")]
    user: String,
}

/// Asks for the password, twice on a terminal, else takes the first line of the standard input; and sets it.
pub fn main(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.place.file()?;
    let state_dir = arguments.place.state_dir(&file)?;
    // Before anybody types: the state directory may be another one's.
    let store = arguments.place.open(&file, &state_dir).await?;
    let outcome = async {
        let password = ask(&arguments.user)?;
        anyhow::Ok(lost_password::set(&store, &arguments.domain, &arguments.user, &password).await?)
    }
    .await;
    store.close().await;
    let user = outcome?;
    println!(
        "{} has a new password, and every token that it had is void. openrc and clouds.yaml in {} still have the old one.",
        user.name,
        state_dir.display()
    );
    Ok(())
}

fn ask(user: &str) -> Result<Secret> {
    let input = std::io::stdin();
    if !isatty(&input) {
        return read_line(&input);
    }
    let first = ask_hidden(&input, &format!("New password of {user}: "))?;
    let second = ask_hidden(&input, "Again: ")?;
    if first.expose() != second.expose() {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}

fn ask_hidden(input: &Stdin, prompt: &str) -> Result<Secret> {
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let hidden = Hidden::new(input)?;
    let line = read_line(input);
    drop(hidden);
    eprintln!();
    line
}

fn read_line(input: &Stdin) -> Result<Secret> {
    let mut line = String::new();
    input.lock().take(LINE).read_line(&mut line).context("reading the password")?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden<'i> {
    input: &'i Stdin,
    before: Termios,
}

impl<'i> Hidden<'i> {
    fn new(input: &'i Stdin) -> Result<Self> {
        let before = tcgetattr(input).context("the terminal")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(input, OptionalActions::Flush, &silent).context("the terminal")?;
        Ok(Self { input, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // There is nobody to tell; the user's shell sets its terminal up by itself.
        let _ = tcsetattr(self.input, OptionalActions::Flush, &self.before);
    }
}
