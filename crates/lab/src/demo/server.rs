//! `billet serve`, run beside the rack.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::error::{Error, Result};
use crate::process;

/// Where the server listens when nobody tells it otherwise.
const ADDRESS: &str = "127.0.0.1:6385";
/// From its start to the first answer. It should be ready in a third of a second; the machine may be busy.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// From SIGTERM to its end.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Longest body read, bytes.
const MAX_BODY: usize = 16 << 20;
/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    state_dir: PathBuf,
    arguments: Vec<String>,
    process: Child,
    ready_in: Duration,
}

impl Server {
    /// Puts the ramdisk where the server looks for it, starts `PROGRAM serve --state-dir DIR` with more arguments (`--auth none`) and waits
    /// until it answers `GET /healthcheck`. Its log goes to `DIR.log`.
    ///
    /// # Errors
    /// [`Error::Command`] with its last words when it ends at once; [`Error::Timeout`] when it does not answer.
    pub async fn start(program: &Path, state_dir: &Path, ramdisk: &Path, arguments: &[&str]) -> Result<Self> {
        let place = state_dir.join("ramdisk");
        std::fs::create_dir_all(&place).map_err(Error::io("creating", &place))?;
        for file in ["vmlinuz", "initramfs"] {
            let to = place.join(file);
            std::fs::copy(ramdisk.join(file), &to).map_err(Error::io("copying the ramdisk to", &to))?;
        }
        let began = Instant::now();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = spawn(program, state_dir, &arguments)?;
        let (program, state_dir) = (program.to_path_buf(), state_dir.to_path_buf());
        let mut server = Self { program, state_dir, arguments, process, ready_in: Duration::ZERO };
        server.wait_until_ready().await?;
        server.ready_in = began.elapsed();
        Ok(server)
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// From its first start to its first answer.
    #[must_use]
    pub fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{ADDRESS}")
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_path(&self.state_dir)
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        process::tail(&String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()))
    }

    /// Kills it as a power failure would, and starts it again on the same state.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn crash_and_restart(&mut self) -> Result<()> {
        self.process.kill().await.map_err(Error::io("killing", &self.program))?;
        self.process = spawn(&self.program, &self.state_dir, &self.arguments)?;
        self.wait_until_ready().await
    }

    /// Asks it to end and waits; kills it after a while.
    pub async fn stop(mut self) {
        if let Some(id) = self.process.id() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(id.cast_signed()),
                nix::sys::signal::Signal::SIGTERM,
            );
            if tokio::time::timeout(STOP_LIMIT, self.process.wait()).await.is_err() {
                tracing::warn!("the server did not end within {} s of SIGTERM", STOP_LIMIT.as_secs());
                let _ = self.process.kill().await;
            }
        }
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let endpoint = self.endpoint();
        let deadline = tokio::time::Instant::now() + READY_LIMIT;
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                status = self.process.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(Error::Command { command: format!("{} serve", self.program.display()), status, output: self.last_words() });
                }
                _ = pause.tick() => {}
            }
            if let Ok((200, _)) = get(&endpoint, "/healthcheck", None).await {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                let what = format!("GET {endpoint}/healthcheck");
                return Err(Error::Timeout {
                    what,
                    seconds: READY_LIMIT.as_secs(),
                    hint: format!("its log:\n{}", self.last_words()),
                });
            }
        }
    }
}

fn log_path(state_dir: &Path) -> PathBuf {
    // Beside the state directory: the server may insist that what is in there is its own.
    state_dir.with_extension("log")
}

fn spawn(program: &Path, state_dir: &Path, arguments: &[String]) -> Result<Child> {
    let path = log_path(state_dir);
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(Error::io("opening", &path))?;
    let errors = log.try_clone().map_err(Error::io("opening", &path))?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--state-dir").arg(state_dir).args(arguments);
    command.stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(true);
    command.spawn().map_err(|source| process::spawn_error(command.as_std(), source))
}

/// `GET` over plain HTTP: the status and the body.
pub(super) async fn get(endpoint: &str, path: &str, token: Option<&str>) -> Result<(u16, Vec<u8>)> {
    let url = format!("{endpoint}{path}");
    let authority = endpoint.trim_start_matches("http://").to_string();
    let failed = |text: String| Error::Invalid(format!("GET {url}: {text}"));
    let exchange = async {
        let stream = TcpStream::connect(&authority).await.map_err(Error::io("connecting to", &authority))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        // Ends when the sender is dropped.
        tokio::spawn(connection);
        let mut request = hyper::Request::get(path)
            .header("host", &authority)
            .header("accept", "application/json")
            .header("x-openstack-ironic-api-version", "latest");
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok((status, body.to_bytes().to_vec()))
    };
    match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(format!("no answer within {} s", ANSWER_LIMIT.as_secs()))),
    }
}
