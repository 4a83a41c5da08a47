//! What the tests share: an account, a configuration, and the controller as a process.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vxscope_standin::{Account, Moto, Seed, Session, Standin};

/// The key that the tests' sensors look for.
pub(crate) const KEY: &str = "mirror";
/// The name of a filter that the controller makes by itself.
pub(crate) const ALL: &str = "STA - Mirror Filter - All";

/// An account with a sensor, and a controller's folder.
pub(crate) struct Site {
    pub(crate) standin: Arc<Standin>,
    pub(crate) folder: TempDir,
    extra: String,
    mirroring: String,
    /// What `[mirroring]` begins with.
    names: String,
    /// What `[target]` says.
    target: String,
}

/// With a sensor `i-sensor` of a size that takes ten sources.
pub(crate) fn site() -> Site {
    let standin = Arc::new(Standin::start(1).unwrap());
    standin.account(|account| {
        account.add_instance(Seed::new("i-sensor", "eni-sensor", "10.0.0.9").kind("m5.xlarge"));
    });
    let site = Site {
        standin,
        folder: tempfile::tempdir().unwrap(),
        extra: String::new(),
        mirroring: String::new(),
        target: "network_interface = \"eni-sensor\"".to_owned(),
        names: format!("mode = \"manual\"\ntag_key = \"{KEY}\""),
    };
    site.write();
    site
}

/// With a bucket of this name, which moto plays; nothing, with a note, without moto.
pub(crate) fn site_with_bucket(name: &str) -> Option<(Site, Moto)> {
    let moto = Moto::provided()?;
    let made = moto.script(&format!("client('s3').create_bucket(Bucket='{name}')"));
    made.expect("a bucket");
    let site = site();
    site.standin.forward(moto.address());
    Some((site, moto))
}

/// An instance that asks to be mirrored through a filter.
pub(crate) fn tagged(name: &str, address: &str, filter: &str) -> Seed {
    Seed::new(&format!("i-{name}"), &format!("eni-{name}"), address).tag(KEY, filter)
}

impl Site {
    /// Further lines of the configuration: of `[mirroring]`, and whole tables.
    pub(crate) fn configure(&mut self, mirroring: &str, extra: &str) {
        self.mirroring = mirroring.to_owned();
        self.extra = extra.to_owned();
        self.write();
    }

    /// Another controller of the same account, on another machine.
    pub(crate) fn beside(&self) -> Self {
        let site = Self {
            standin: self.standin.clone(),
            folder: tempfile::tempdir().unwrap(),
            extra: self.extra.clone(),
            mirroring: self.mirroring.clone(),
            names: self.names.clone(),
            target: self.target.clone(),
        };
        site.write();
        site
    }

    /// Another target than the sensor's interface.
    pub(crate) fn aim_at(&mut self, target: &str) {
        self.target = target.to_owned();
        self.write();
    }

    /// Neither a mode nor a key: others say them.
    pub(crate) fn without_names(&mut self) {
        self.names.clear();
    }

    fn write(&self) {
        let text = format!(
            "[mirroring]\n{}\n{}\n\
             [target]\n{}\n\
             [state]\nfolder = \"{}\"\n{}\n",
            self.names,
            self.mirroring,
            self.target,
            self.folder.path().join("state").display(),
            self.extra
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("controller.toml")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vxscope-controller"));
        command
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .env_clear()
            .env("AWS_ENDPOINT_URL", self.standin.url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIASTANDIN")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("VXSCOPE_LOG", "info")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaints}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes everything as it should be.
    pub(crate) fn settle(&self) -> String {
        self.ok(&["run", "--once", "--apply", "--within", "60"])
    }

    /// What would be done now.
    pub(crate) fn plan(&self) -> Value {
        serde_json::from_str(&self.ok(&["plan", "--json"])).unwrap()
    }

    /// A controller that goes on.
    pub(crate) fn start(&self) -> Running {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command(&["run", "--apply"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Running(child)
    }

    pub(crate) fn account<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        self.standin.account(act)
    }

    /// The sessions of an interface.
    pub(crate) fn sessions(&self, interface: &str) -> Vec<Session> {
        self.account(|account| account.sessions_of(interface))
    }

    /// Calls that changed something since the log was cleared.
    pub(crate) fn changes(&self) -> Vec<String> {
        let log = self.standin.log();
        let changes = log
            .changes()
            .filter(|entry| entry.action != "GetCallerIdentity");
        changes.map(|entry| entry.action.clone()).collect()
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, longest: Duration, mut is_so: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test at the edge")]
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < longest, "{what}: not in {longest:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A controller that is killed at the end of the test.
pub(crate) struct Running(Child);

impl Running {
    /// Bytes that it has in memory.
    pub(crate) fn resident(&self) -> u64 {
        self.field("VmRSS:").parse::<u64>().unwrap() << 10
    }

    /// What the kernel says of it: the first word behind a name.
    pub(crate) fn field(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
    }

    /// As `systemctl stop`.
    pub(crate) fn end(mut self) {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").arg(&pid).status().unwrap();
        assert!(told.success());
        assert!(self.0.wait().unwrap().success());
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
