//! A process that is spoken with in lines, and that does not outlive whoever started it.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, TryRecvError},
    thread,
    time::Duration,
};

/// A longer line is not read.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Lines that wait to be taken before the process must wait to say more.
const MAX_WAITING_LINES: usize = 4096;

/// A running process. Its standard error is ours.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: mpsc::Sender<Vec<u8>>,
    output: mpsc::Receiver<Result<String, String>>,
    /// How it ended, once it was waited for: its number may be another's from then on.
    ended: Option<String>,
}

/// Why there is no line.
#[derive(Debug)]
pub(super) enum NoLine {
    /// It is late.
    Late,
    /// The process said its last.
    Ended,
    /// It cannot be read.
    Broken(String),
}

impl Process {
    /// Starts a program in a process group of its own, so that what it starts can be ended with it.
    pub(super) fn start(program: &str, arguments: &[String]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (input, to_write) = mpsc::channel();
        let (said, output) = mpsc::sync_channel(MAX_WAITING_LINES);
        let mut process = Self { child: command.spawn()?, input, output, ended: None };
        let child = &mut process.child;
        // Each pipe has a thread: who writes all and then reads waits for a program that does the
        // same. Both end with their pipe.
        if let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) {
            thread::Builder::new().spawn(move || write(stdin, &to_write))?;
            thread::Builder::new().spawn(move || read(stdout, &said))?;
        }
        Ok(process)
    }

    /// Writes without waiting for the process to read. Whether it still does shows in its lines.
    pub(super) fn write(&self, bytes: Vec<u8>) {
        let _ = self.input.send(bytes);
    }

    /// The next line.
    pub(super) fn line(&self, timeout: Duration) -> Result<String, NoLine> {
        match self.output.recv_timeout(timeout) {
            Ok(line) => line.map_err(NoLine::Broken),
            Err(RecvTimeoutError::Timeout) => Err(NoLine::Late),
            Err(RecvTimeoutError::Disconnected) => Err(NoLine::Ended),
        }
    }

    /// A line that is there already.
    pub(super) fn waiting_line(&self) -> Result<Option<String>, NoLine> {
        match self.output.try_recv() {
            Ok(line) => line.map(Some).map_err(NoLine::Broken),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(NoLine::Ended),
        }
    }

    /// Ends the process with all of its group; how it ended, by itself or so.
    pub(super) fn end(&mut self) -> String {
        if let Some(how) = &self.ended {
            return how.clone();
        }
        // The group first: until it is waited for, the process keeps the group's number.
        #[cfg(unix)]
        {
            let group = rustix::process::Pid::from_child(&self.child);
            // Gone already, if it is an error.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let status = self.child.wait();
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.ended.insert(how).clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn write(mut stdin: ChildStdin, chunks: &mpsc::Receiver<Vec<u8>>) {
    for chunk in chunks {
        if stdin.write_all(&chunk).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read(stdout: ChildStdout, said: &mpsc::SyncSender<Result<String, String>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let line = match stdout.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(bytes) if bytes as u64 > MAX_LINE_BYTES => {
                Err(format!("expected lines of at most {MAX_LINE_BYTES} bytes, found a longer one"))
            }
            Ok(_) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let broken = line.is_err();
        if said.send(line).is_err() || broken {
            return;
        }
    }
}
