//! `vxscope top`, in a terminal that a program types into.

use std::path::Path;
use std::process::{Command, Output};

use crate::sensor::{Sensor, until};
use crate::{folder, skip, vxscope};

/// A terminal of 120 by 30 that ends with the test.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(dir: &Path, command: &str) -> Option<Self> {
        let socket = dir.join("tmux").display().to_string();
        let terminal = Self { socket };
        let started = terminal.tmux(&["new-session", "-d", "-x", "120", "-y", "30", command])?;
        assert!(started.status.success(), "{started:?}");
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Option<Output> {
        Command::new("tmux")
            .args(["-f", "/dev/null", "-S", &self.socket])
            .args(arguments)
            .env("TERM", "xterm-256color")
            .output()
            .ok()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p"]).expect("tmux, as before");
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn shows(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        until(what, || Some(self.screen()).filter(|screen| is_it(screen)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_person_at_a_terminal_sorts_filters_and_leaves() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &["--set", "policy.mode=shadow"]);
    sensor.load(&["--sources", "5", "--packets", "5000", "--rate", "50000"]);
    let program = env!("CARGO_BIN_EXE_vxscope");
    let socket = dir.path().join("out/control.sock");
    let command = format!(
        "{program} top --sort name --socket {}; exec cat",
        socket.display()
    );
    let Some(terminal) = Terminal::open(dir.path(), &command) else {
        return skip("there is no tmux");
    };
    let screen = terminal.shows("five sources", |it| it.matches("127.0.0.").count() >= 5);
    assert!(screen.contains("healthy"), "{screen}");
    assert!(screen.contains("mirrors: shadow"), "{screen}");
    let rows = screen.lines().filter(|line| line.contains("127.0.0."));
    assert!(rows.clone().count() == 5 && rows.is_sorted(), "{screen}");
    terminal.keys(&["s"]);
    terminal.shows("another order", |it| it.contains("by rate"));
    terminal.keys(&["/", "127.0.0.3", "Enter"]);
    let screen = terminal.shows("one source", |it| it.contains("1 sources by"));
    assert!(
        screen.contains("127.0.0.3") && !screen.contains("127.0.0.4"),
        "{screen}"
    );
    terminal.keys(&["Enter"]);
    let screen = terminal.shows("the reason", |it| it.contains(": full"));
    let picture = crate::pictures(dir.path()).join("top.txt");
    std::fs::write(picture, screen).expect("a folder of ours");
    // The sensor goes, and that is told; the numbers stay.
    sensor.stop();
    let screen = terminal.shows("that nobody answers", |it| it.contains("NO ANSWER"));
    assert!(screen.contains("127.0.0.3"), "{screen}");
    terminal.keys(&["q"]);
    terminal.shows("the screen of before", |it| !it.contains("vxscope top"));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &[]);
    let settings = dir.path().join("stty").display().to_string();
    let then = format!("stty -a > {settings}; echo it was");
    let Some((terminal, pid)) = top_with_a_number(dir.path(), &then) else {
        return;
    };
    let killed = Command::new("kill").arg(pid.to_string()).status();
    assert!(killed.is_ok_and(|it| it.success()));
    let screen = terminal.shows("the screen of before", |it| it.contains("it was"));
    assert!(!screen.contains("vxscope top"), "{screen}");
    let settings = std::fs::read_to_string(settings).expect("the shell wrote it");
    let words: Vec<&str> = settings.split([' ', ';', '\n']).collect();
    for set in ["icanon", "echo", "isig", "opost"] {
        assert!(words.contains(&set), "{set}: {settings}");
    }
    sensor.stop();
}

/// A terminal that is gone is at its end for ever, which must not be read for ever.
#[test]
fn a_terminal_that_goes_ends_it() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &[]);
    let Some((terminal, pid)) = top_with_a_number(dir.path(), "true") else {
        return;
    };
    drop(terminal);
    until("the end of it", || {
        // One that nobody has waited for yet has no words any more.
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.is_empty().then_some(())
    });
    sensor.stop();
}

/// `top` in a terminal, shown, and its process; `then` runs when it is gone.
fn top_with_a_number(dir: &Path, then: &str) -> Option<(Terminal, u32)> {
    let program = env!("CARGO_BIN_EXE_vxscope");
    let [socket, pid] = ["out/control.sock", "pid"].map(|it| dir.join(it).display().to_string());
    let command =
        format!("sh -c 'echo $$ > {pid}; exec {program} top --socket {socket}'; {then}; exec cat");
    let Some(terminal) = Terminal::open(dir, &command) else {
        skip("there is no tmux");
        return None;
    };
    terminal.shows("the screen", |it| it.contains("vxscope top"));
    let pid = std::fs::read_to_string(pid).expect("the shell wrote it");
    Some((terminal, pid.trim().parse().expect("a number")))
}

#[test]
fn a_pipe_gets_one_table() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &[]);
    sensor.load(&["--sources", "3", "--packets", "300", "--rate", "50000"]);
    let socket = dir.path().join("out/control.sock").display().to_string();
    until("three sources", || {
        let told = vxscope(dir.path(), &["top", "--socket", &socket]).ok();
        (told
            .lines()
            .filter(|line| line.contains("127.0.0."))
            .count()
            == 3)
            .then_some(())
    });
    sensor.stop();
    let complaint = vxscope(dir.path(), &["top", "--socket", &socket]).fails(1);
    assert!(complaint.contains("no sensor answers"), "{complaint}");
}
