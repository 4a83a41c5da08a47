//! What the tests share.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use vxscope_control::mirror::{
    ApiError, Call, CallId, Create, MirrorApi, Reply, Session, Settings,
};
use vxscope_ec2::{Chore, Done, Ec2, ObjectAnswer, ObjectAsk, Scope, wall};
use vxscope_enrolment::inventory::{Inventory, TargetPlace};
use vxscope_standin::{Seed, Standin};

/// Longer than any call that is answered.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stand-in and a client of it.
pub(crate) struct Kit {
    pub(crate) standin: Standin,
    pub(crate) ec2: Ec2,
    folder: TempDir,
    calls: u64,
}

/// With a sensor `i-sensor` and its interface `eni-sensor`.
pub(crate) fn kit() -> Kit {
    let standin = Standin::start(1).unwrap();
    standin.account(|account| {
        account.add_instance(Seed::new("i-sensor", "eni-sensor", "10.0.0.9").kind("m5.xlarge"));
    });
    let folder = tempfile::tempdir().unwrap();
    let ec2 = client(standin.url(), &folder, Duration::from_secs(5));
    Kit {
        standin,
        ec2,
        folder,
        calls: 0,
    }
}

fn client(url: String, folder: &TempDir, call_timeout: Duration) -> Ec2 {
    let file = folder.path().join("credentials");
    let keys = "[default]\naws_access_key_id = AKIASTANDIN\naws_secret_access_key = secret\n";
    std::fs::write(&file, keys).unwrap();
    Ec2::start(vxscope_ec2::Settings {
        region: Some("us-east-1".to_owned()),
        credentials_file: Some(file),
        endpoint: Some(url),
        call_timeout,
        ..vxscope_ec2::Settings::default()
    })
    .unwrap()
}

impl Kit {
    /// Another client, which waits for so long.
    pub(crate) fn with_timeout(&mut self, call_timeout: Duration) {
        self.ec2 = client(self.standin.url(), &self.folder, call_timeout);
    }

    /// Another client, of somebody else.
    pub(crate) fn ec2_at(&mut self, url: String) {
        self.ec2 = client(url, &self.folder, Duration::from_secs(5));
    }

    /// An instance that can be mirrored.
    pub(crate) fn source(&self, name: &str, address: &str) -> String {
        let interface = format!("eni-{name}");
        let seed = Seed::new(&format!("i-{name}"), &interface, address);
        self.standin.account(|account| account.add_instance(seed));
        interface
    }

    pub(crate) fn call(&mut self, call: Call) -> Result<Reply, ApiError> {
        self.calls += 1;
        let id = CallId::new(self.calls);
        self.ec2.submit(id, call, wall());
        for _ in 0..20 {
            if let Some((answered, reply)) = self.ec2.poll(wall()) {
                assert_eq!(answered, id);
                return reply;
            }
            self.ec2.wait(PATIENCE);
        }
        panic!("no answer");
    }

    pub(crate) fn chore(&mut self, chore: Chore) -> Result<Done, ApiError> {
        self.ec2.submit_chore(7, chore);
        self.ec2.wait(PATIENCE);
        self.ec2.poll_chore().expect("an answer").1
    }

    pub(crate) fn object(&mut self, ask: ObjectAsk) -> Result<ObjectAnswer, ApiError> {
        self.ec2.submit_object(7, ask);
        self.ec2.wait(PATIENCE);
        self.ec2.poll_object().expect("an answer").1
    }

    pub(crate) fn survey(&mut self) -> Result<Inventory, ApiError> {
        self.ec2.submit_survey(Scope::All);
        self.ec2.wait(PATIENCE);
        self.ec2.poll_survey().expect("an answer")
    }

    /// The target that is the sensor.
    pub(crate) fn target(&mut self) -> String {
        let place = TargetPlace::Interface("eni-sensor".to_owned());
        let made = self.chore(Chore::CreateTarget {
            place,
            description: "sensor".to_owned(),
            tags: owned(),
            token: "target".to_owned(),
        });
        id_of(made)
    }

    /// A filter without rules.
    pub(crate) fn filter(&mut self, name: &str) -> String {
        let mut tags = owned();
        tags.insert("Name".to_owned(), name.to_owned());
        let made = self.chore(Chore::CreateFilter {
            description: name.to_owned(),
            tags,
            token: format!("filter-{name}"),
        });
        id_of(made)
    }

    /// What a session on an interface is to be.
    pub(crate) fn wanted(&mut self, interface: &str, number: u16) -> Create {
        let (target, filter) = (self.target(), self.filter("all"));
        Create {
            interface: interface.to_owned(),
            settings: Settings {
                target,
                filter,
                number,
                packet_length: None,
                vni: Some(77),
                description: "vxscope: test".to_owned(),
            },
            tags: owned(),
            client_token: format!("{interface}-{number}"),
        }
    }

    pub(crate) fn create(&mut self, create: &Create) -> Result<Session, ApiError> {
        match self.call(Call::Create(create.clone()))? {
            Reply::Created(session) => Ok(session),
            other => panic!("{other:?}"),
        }
    }

    /// All sessions, page by page.
    pub(crate) fn sessions(&mut self) -> Vec<Session> {
        let (mut all, mut at) = (Vec::new(), None);
        loop {
            let Ok(Reply::Page { sessions, next }) = self.call(Call::Describe { next: at }) else {
                panic!("no page");
            };
            all.extend(sessions);
            at = next;
            if at.is_none() {
                return all;
            }
        }
    }
}

pub(crate) fn owned() -> BTreeMap<String, String> {
    [("managed-by".to_owned(), "vxscope".to_owned())].into()
}

fn id_of(made: Result<Done, ApiError>) -> String {
    match made {
        Ok(Done::Made(id)) => id,
        other => panic!("{other:?}"),
    }
}
