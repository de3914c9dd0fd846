//! Namespaces of their own for a rack, left behind by nobody.
//!
//! A rack's process is process 1 of a fresh PID namespace, in a fresh network and mount namespace that have no name. When it dies, for
//! whatever reason, the kernel kills everything in the PID namespace (QEMU, servers, shells) and, with its last process gone, frees the
//! network namespace with its bridge and taps. So nothing has to be undone, and racks can't meet.
//!
//! Two processes are involved. The outer one stays where the user started it, forwards signals and waits. The inner one is the same
//! program executed again as process 1. Each notices the other's death: the inner one through a pipe that only the outer one holds (which,
//! unlike `PR_SET_PDEATHSIG` alone, has no race at start and leaves it a moment to remove its state directory), the outer one by `waitpid`,
//! after which it removes what a killed inner process left on disk.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, clone, setns};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2, read};

use crate::error::{Error, Result};
use crate::{image, state_dir};

/// Set in the inner process's environment: the number of the pipe's descriptor. Only process 1 believes it.
const INSIDE: &str = "BILLET_LAB_INSIDE";
/// Seconds that the inner process has to clean up after a signal before it is killed.
const STOP_LIMIT_S: u32 = 15;

static OUTER_PID: OnceLock<i32> = OnceLock::new();

/// Is this process process 1 of a lab's namespaces?
#[must_use]
pub fn is_inside() -> bool {
    OUTER_PID.get().is_some()
}

/// This process's id as seen outside of its namespaces (what `billet-lab exec --rack PID` takes).
#[must_use]
pub fn outer_pid() -> Option<i32> {
    OUTER_PID.get().copied()
}

/// Which network a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The caller's: for work that downloads, such as building images.
    Shared,
    /// A fresh one with nothing in it: for racks.
    Own,
}

/// Puts this program into namespaces of its own. Call it first in `main`, before any thread is started.
///
/// Outside, it executes the program again inside, waits for it and exits with its status: it does not return. Inside, it returns `Ok(())`.
///
/// # Errors
/// [`Error::Privilege`] without root.
pub fn enter(network: Network) -> Result<()> {
    if let Some(pipe) = inherited_pipe() {
        return settle(pipe);
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    std::process::exit(supervise(&arguments, network)?);
}

/// Outside, executes this program with one more argument in namespaces of its own, on the caller's network, and returns its exit status.
/// Inside, returns 0 at once: it has been done by then.
///
/// # Errors
/// [`Error::Privilege`] without root.
pub fn run_before(extra_argument: &str) -> Result<i32> {
    if getpid().as_raw() == 1 && std::env::var_os(INSIDE).is_some() {
        return Ok(0);
    }
    let arguments: Vec<_> = std::env::args_os().chain([extra_argument.into()]).collect();
    supervise(&arguments, Network::Shared)
}

fn supervise(arguments: &[OsString], network: Network) -> Result<i32> {
    let mut watched = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGALRM] {
        watched.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched), None).map_err(refused("blocking signals"))?;
    let inner = Inner::start(arguments, network)?;
    let code = inner.supervise(&watched);
    state_dir::sweep();
    image::sweep();
    Ok(code)
}

/// Runs the body of the test called `name` (its full path, as `cargo test` prints it) in namespaces of its own.
///
/// The test binary is executed again for this one test; there `body` runs, in process 1. Panics if that process fails, or without root.
pub fn test(name: &str, body: impl FnOnce()) {
    if let Some(pipe) = inherited_pipe() {
        if !is_inside() {
            settle(pipe).unwrap_or_else(|error| panic!("test `{name}`: {error}"));
        }
        return body();
    }
    let program = std::env::args_os().next().unwrap_or_default();
    let arguments = [
        program.as_os_str(),
        OsStr::new(name),
        OsStr::new("--exact"),
        OsStr::new("--nocapture"),
        OsStr::new("--include-ignored"),
    ];
    let inner = Inner::start(&arguments.map(OsStr::to_os_string), Network::Own)
        .unwrap_or_else(|error| panic!("test `{name}`: {error}"));
    let code = inner.wait();
    state_dir::sweep();
    assert!(code == 0, "test `{name}` failed in its namespaces (exit status {code}); its output is above");
}

/// Moves the calling process into the network, mount and PID namespaces of process `pid` (children only, for the last). Call it before
/// any thread is started.
///
/// # Errors
/// [`Error::Invalid`] when there is no such process, [`Error::Privilege`] without root.
pub fn join(pid: i32) -> Result<()> {
    let open = |kind: &str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        std::fs::File::open(&path)
            .map_err(|error| Error::Invalid(format!("no rack runs as process {pid} ({path}: {error})")))
    };
    let directory = std::env::current_dir().map_err(Error::io("reading", "the working directory"))?;
    let spaces = [
        (open("net")?, CloneFlags::CLONE_NEWNET),
        (open("pid")?, CloneFlags::CLONE_NEWPID),
        (open("mnt")?, CloneFlags::CLONE_NEWNS),
    ];
    for (file, kind) in &spaces {
        setns(file.as_fd(), *kind).map_err(refused("joining the rack's namespaces"))?;
    }
    // Joining a mount namespace moves the working directory to its root.
    std::env::set_current_dir(&directory).map_err(Error::io("returning to", &directory))
}

/// The inner process, seen from outside.
struct Inner {
    pid: Pid,
    /// It listens for SIGTERM and takes things down in order; otherwise (a build) being killed is all it needs.
    cleans_up: bool,
    /// Closed by the kernel when this process dies; the inner one waits for that.
    _alive: OwnedFd,
}

impl Inner {
    fn start(arguments: &[OsString], network: Network) -> Result<Self> {
        let (watch, alive) = pipe2(OFlag::O_CLOEXEC).map_err(refused("making a pipe"))?;
        let text = |bytes: &[u8]| {
            CString::new(bytes)
                .map_err(|_| Error::Invalid("a command-line argument or variable holds a zero byte".into()))
        };
        let argv = arguments.iter().map(|word| text(word.as_bytes())).collect::<Result<Vec<_>>>()?;
        let mut environment = Vec::new();
        for (key, value) in std::env::vars_os().filter(|(key, _)| key != INSIDE) {
            environment.push(text(&[key.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        environment.push(text(format!("{INSIDE}={}", watch.as_raw_fd()).as_bytes())?);
        // Everything the child needs is allocated here: between clone and exec it may only make system calls, for this process may have
        // other threads (a test harness has).
        let argv: Vec<&std::ffi::CStr> = argv.iter().map(CString::as_c_str).collect();
        let environment: Vec<&std::ffi::CStr> = environment.iter().map(CString::as_c_str).collect();
        let program = c"/proc/self/exe";
        let everything = SigSet::all();
        let child = Box::new(|| -> isize {
            let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&everything), None);
            // A group of its own: the terminal's Ctrl-C goes to the outer process, which passes it on once.
            let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
            let _ = fcntl(watch.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()));
            let _ = nix::unistd::execve(program, &argv, &environment);
            127
        });
        let mut stack = vec![0u8; 256 * 1024];
        let mut spaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
        if network == Network::Own {
            spaces |= CloneFlags::CLONE_NEWNET;
        }
        // SAFETY: without CLONE_VM the child runs on its own copy of this memory, and the closure above only makes system calls.
        let pid = unsafe { clone(child, &mut stack, spaces, Some(Signal::SIGCHLD as i32)) }
            .map_err(refused("making network, PID and mount namespaces"))?;
        Ok(Self { pid, cleans_up: network == Network::Own, _alive: alive })
    }

    fn wait(&self) -> i32 {
        loop {
            if let Some(code) = exit_code(waitpid(self.pid, None)) {
                return code;
            }
        }
    }

    fn supervise(&self, watched: &SigSet) -> i32 {
        let mut is_stopping = false;
        loop {
            match watched.wait() {
                Ok(Signal::SIGCHLD) | Err(_) => {}
                Ok(signal) => {
                    // The second signal, or the alarm after the first, means: now.
                    let deed = if is_stopping || !self.cleans_up { Signal::SIGKILL } else { Signal::SIGTERM };
                    tracing::debug!(%signal, %deed, "passing the signal on");
                    let _ = kill(self.pid, deed);
                    if !is_stopping {
                        nix::unistd::alarm::set(STOP_LIMIT_S);
                    }
                    is_stopping = true;
                }
            }
            if let Some(code) = exit_code(waitpid(self.pid, Some(WaitPidFlag::WNOHANG))) {
                return code;
            }
        }
    }
}

fn exit_code(status: nix::Result<WaitStatus>) -> Option<i32> {
    match status {
        Ok(WaitStatus::Exited(_, code)) => Some(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as i32),
        Ok(_) | Err(nix::Error::EINTR) => None,
        Err(_) => Some(1),
    }
}

fn inherited_pipe() -> Option<OwnedFd> {
    if getpid().as_raw() != 1 {
        return None;
    }
    let number: i32 = std::env::var(INSIDE).ok()?.parse().ok()?;
    // SAFETY: the outer process left this descriptor open for us, and the borrow only asks whether it is.
    fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    // SAFETY: as above; nobody else in this process knows the number. A test that asks again once it is inside gets a second owner, which
    // `settle` would close; `test` and `enter` are called once a process.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes the fresh namespaces livable and starts watching the outer process.
fn settle(pipe: OwnedFd) -> Result<()> {
    // The /proc of outside is still mounted: it alone knows our number there.
    let outer = std::fs::read_link("/proc/self").map_err(Error::io("reading", "/proc/self"))?;
    let outer: i32 =
        outer.to_string_lossy().parse().map_err(|_| Error::Invalid("/proc/self is no number".into()))?;
    let none: Option<&Path> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(refused("making mounts private"))?;
    let strict = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), strict, none).map_err(refused("mounting /proc"))?;
    // /sys shows the network devices of the namespace that mounted it. A sandbox may refuse; only tools that read it would miss it.
    if let Err(error) = mount(Some("sysfs"), "/sys", Some("sysfs"), strict, none) {
        tracing::debug!(%error, "mounting /sys");
    }
    std::thread::Builder::new()
        .name("outer-process".into())
        .spawn(move || {
            let mut byte = [0u8];
            while let Err(nix::Error::EINTR) = read(&pipe, &mut byte) {}
            // The outer process is gone. Stop everything that could still write (killing it would make the main thread fail and exit
            // before the files are removed), remove the files, and take the namespaces along.
            let _ = kill(Pid::from_raw(-1), Signal::SIGSTOP);
            state_dir::remove_own();
            image::sweep();
            std::process::exit(1);
        })
        .map_err(Error::io("starting", "a thread"))?;
    let _ = OUTER_PID.set(outer);
    Ok(())
}

fn refused(what: &str) -> impl FnOnce(nix::Error) -> Error {
    let what = what.to_string();
    move |source| Error::Privilege { what, source }
}
