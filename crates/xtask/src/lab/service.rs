//! The servers of a tenant, each a real program with a minimal configuration.

use super::namespace::Namespace;
use super::pause;
use super::tenant::{SERVER, SERVER_V6, Tenant};
use super::topology::{Machines, Network};
use crate::workspace::text_of;
use crate::{Result, tools};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The size of the page that takes more than a few segments, in bytes.
const LARGE_PAGE_BYTES: usize = 40_000;
/// How often, and how long apart, we look whether something is ready: ten seconds in all.
const LOOKS_MAX: u32 = 200;
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A process of ours, with its output in a file; it is ended when its value goes.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// The servers of both tenants and what they log.
pub(super) struct Services {
    tenants: Vec<TenantServices>,
}

struct TenantServices {
    _running: Vec<Process>,
    folder: PathBuf,
}

impl Process {
    /// Starts a command whose output goes to `log`.
    pub(super) fn start(name: &'static str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log)?;
        command.stdout(file.try_clone()?).stderr(file);
        let child = command
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(Self {
            name,
            child,
            log: log.to_path_buf(),
        })
    }

    /// What it has printed so far.
    pub(super) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    /// Asks it to end as by Ctrl-C, waits, and returns all it printed.
    pub(super) fn interrupt(mut self) -> Result<String> {
        text_of(Command::new("kill").args(["-INT", &self.child.id().to_string()]))?;
        let name = self.name;
        wait_until(name, || Ok(self.child.try_wait()?.is_some()))?;
        self.log()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and the namespace of processes ends it anyway.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the servers of both tenants and waits until each listens.
pub(super) fn start_all(
    tenants: &[Tenant; 2],
    network: &Network,
    folder: &Path,
) -> Result<Services> {
    let pairs = tenants.iter().zip(&network.tenants);
    let started = pairs.map(|(tenant, machines)| start_tenant(tenant, machines, folder));
    Ok(Services {
        tenants: started.collect::<Result<_>>()?,
    })
}

impl Services {
    /// The HTTP requests the tenant's web server answered.
    pub(super) fn http_requests(&self, tenant: usize) -> Result<u64> {
        self.count(tenant, "access.log", |line| !line.is_empty())
    }

    /// The questions the tenant's name server was asked.
    pub(super) fn dns_questions(&self, tenant: usize) -> Result<u64> {
        self.count(tenant, "dnsmasq.log", |line| line.contains("query["))
    }

    fn count(&self, tenant: usize, file: &str, wanted: fn(&str) -> bool) -> Result<u64> {
        let folder = &self
            .tenants
            .get(tenant)
            .ok_or("there are two tenants")?
            .folder;
        let text = std::fs::read_to_string(folder.join(file))?;
        Ok(u64::try_from(
            text.lines().filter(|line| wanted(line)).count(),
        )?)
    }
}

fn start_tenant(tenant: &Tenant, machines: &Machines, folder: &Path) -> Result<TenantServices> {
    let folder = folder.join(tenant.name);
    std::fs::create_dir(&folder)?;
    let server = &machines.server;
    let running = vec![
        nginx(server, tenant, &folder)?,
        dnsmasq(server, &folder)?,
        redis(server, &folder)?,
        sshd(server, &folder)?,
        iperf3(server, &folder)?,
    ];
    for (transport, port) in [
        ("t", 80),
        ("t", 53),
        ("u", 53),
        ("t", 6379),
        ("t", 22),
        ("t", 5201),
    ] {
        wait_until(&format!("a server on port {port}"), || {
            let mut sockets = server.command("ss");
            sockets.args([
                "-H",
                "-l",
                "-n",
                &format!("-{transport}"),
                "sport",
                "=",
                &format!(":{port}"),
            ]);
            Ok(!text_of(&mut sockets)?.trim().is_empty())
        })?;
    }
    Ok(TenantServices {
        _running: running,
        folder,
    })
}

fn nginx(server: &Namespace, tenant: &Tenant, folder: &Path) -> Result<Process> {
    let pages = folder.join("pages");
    std::fs::create_dir(&pages)?;
    std::fs::write(
        pages.join("index.html"),
        format!("This is tenant {}.\n", tenant.name),
    )?;
    std::fs::write(
        pages.join("large.bin"),
        vec![b'a' + tenant.number; LARGE_PAGE_BYTES],
    )?;
    let root = folder.display();
    let configuration = format!(
        "user root; daemon off; master_process off; pid {root}/nginx.pid;\n\
         error_log {root}/error.log;\n\
         events {{}}\n\
         http {{\n\
           access_log {root}/access.log; client_body_temp_path {root}/body;\n\
           proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;\n\
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n\
           server {{\n\
             listen {SERVER}:80; listen [{SERVER_V6}]:80; root {root}/pages;\n\
             location = /form {{ return 200 thanks; }}\n\
           }}\n\
         }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration)?;
    let mut command = server.command(tools::program("nginx")?);
    command
        .arg("-e")
        .arg(folder.join("start.log"))
        .arg("-c")
        .arg(file);
    Process::start("nginx", command, &folder.join("nginx.log"))
}

fn dnsmasq(server: &Namespace, folder: &Path) -> Result<Process> {
    let mut command = server.command(tools::program("dnsmasq")?);
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--pid-file=",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        "--interface=eth0",
        "--local=/lab.example/",
        "--txt-record=lab.example,two tenants share these addresses",
        "--log-queries",
        "--log-facility=-",
    ]);
    command.arg(format!(
        "--host-record=www.lab.example,{SERVER},{SERVER_V6}"
    ));
    Process::start("dnsmasq", command, &folder.join("dnsmasq.log"))
}

fn redis(server: &Namespace, folder: &Path) -> Result<Process> {
    let mut command = server.command(tools::program("redis-server")?);
    command
        .args([
            "--bind",
            SERVER,
            "--protected-mode",
            "no",
            "--save",
            "",
            "--dir",
        ])
        .arg(folder);
    Process::start("redis-server", command, &folder.join("redis.log"))
}

fn sshd(server: &Namespace, folder: &Path) -> Result<Process> {
    let key = folder.join("host-key");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
        .arg(&key);
    text_of(&mut keygen)?;
    std::fs::create_dir_all("/run/sshd")?;
    let configuration = folder.join("sshd.conf");
    let text = format!(
        "ListenAddress {SERVER}\nHostKey {}\nPidFile none\nUsePAM no\n",
        key.display()
    );
    std::fs::write(&configuration, text)?;
    let mut command = server.command(tools::program("sshd")?);
    command.args(["-D", "-e", "-f"]).arg(configuration);
    Process::start("sshd", command, &folder.join("sshd.log"))
}

fn iperf3(server: &Namespace, folder: &Path) -> Result<Process> {
    let mut command = server.command("iperf3");
    command
        .args(["--server", "--bind", SERVER])
        .stdin(Stdio::null());
    Process::start("iperf3", command, &folder.join("iperf3.log"))
}

/// Looks again and again, for a bounded while, whether something has become true.
pub(super) fn wait_until(what: &str, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..LOOKS_MAX {
        if ready()? {
            return Ok(());
        }
        pause(LOOK_INTERVAL);
    }
    Err(format!("waited in vain: {what}").into())
}
