//! Which mirror source has which VLAN id: shared by all outputs of a run, kept between runs.
//!
//! An id that meant one tenant yesterday and means another today would be worse than none, so what
//! was given is written to `vlans.json` (and, for spreadsheets and lookup tables, `vlans.csv`) as
//! soon as it is given, and read again by the next live run.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use vxscope_units::{BindTable, MirrorSource, Vni};

use crate::error::ExportError;
use crate::file::OutputDir;

/// VLAN id 0 means "no VLAN" and 4095 is reserved (IEEE 802.1Q §9.6).
const IDS: std::ops::RangeInclusive<u16> = 1..=4094;

/// Most bytes of a `vlans.json`: 4,094 ids need a tenth of it.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// See the module. Clones are the same book.
#[derive(Clone, Debug, Default)]
pub struct VlanBook(Arc<Mutex<Ids>>);

#[derive(Debug, Default)]
struct Ids {
    /// Ids that were chosen by hand, and names.
    listed: Arc<BindTable>,
    by_source: HashMap<MirrorSource, u16>,
    taken: BTreeSet<u16>,
    is_changed: bool,
}

/// One line of the files.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    vlan: u16,
    outer_ip: IpAddr,
    vni: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eni: Option<String>,
}

impl VlanBook {
    /// A book in which the listed sources have the ids that were chosen for them; nobody else
    /// gets one of these.
    #[must_use]
    pub fn new(listed: Arc<BindTable>) -> Self {
        let taken = listed.bindings().iter().filter_map(|it| it.vlan).collect();
        Self(Arc::new(Mutex::new(Ids {
            listed,
            taken,
            ..Ids::default()
        })))
    }

    /// The id of a source; a new one gets the id that is listed for it, else the lowest free one.
    /// `None` if none is free.
    #[must_use]
    pub fn id(&self, source: MirrorSource) -> Option<u16> {
        let mut ids = self.ids();
        if let Some(id) = ids.by_source.get(&source) {
            return Some(*id);
        }
        let id = ids.choose(source)?;
        ids.give(source, id);
        ids.is_changed = true;
        Some(id)
    }

    /// The sources that an id stands for: one, unless a list gave several the same.
    #[must_use]
    pub fn sources(&self, id: u16) -> Vec<MirrorSource> {
        let mapping = self.mapping().into_iter();
        let of_id = mapping.filter(|(vlan, _)| *vlan == id);
        of_id.map(|(_, source)| source).collect()
    }

    /// All ids that were given and their sources, in order.
    #[must_use]
    pub fn mapping(&self) -> Vec<(u16, MirrorSource)> {
        self.ids().sorted().into_iter().collect()
    }

    /// Takes over what an earlier run gave. What is listed now counts more. Returns how many; a
    /// file that is not there is an empty one.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours: ids must not be given anew in silence.
    pub fn restore(&self, path: &Path) -> Result<usize, ExportError> {
        let wrong = |cause| ExportError::io("read the VLAN ids in", path, cause);
        let text = match fs::metadata(path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(0),
            Err(cause) => return Err(wrong(cause)),
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                return Err(wrong(ErrorKind::FileTooLarge.into()));
            }
            Ok(_) => fs::read(path).map_err(wrong)?,
        };
        let lines: Vec<Line> =
            serde_json::from_slice(&text).map_err(|error| wrong(error.into()))?;
        let mut ids = self.ids();
        let mut restored = 0;
        for line in &lines {
            let vni = Vni::try_new(line.vni).filter(|_| IDS.contains(&line.vlan));
            let vni = vni.ok_or_else(|| {
                let text = format!("VLAN {} for VNI {} cannot be", line.vlan, line.vni);
                wrong(std::io::Error::new(ErrorKind::InvalidData, text))
            })?;
            let address = line.outer_ip;
            restored += usize::from(ids.take_over(MirrorSource { address, vni }, line.vlan));
        }
        Ok(restored)
    }

    /// Writes the ids to `path`, and as CSV beside it, if they changed since the last time.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ExportError> {
        let lines = {
            let mut ids = self.ids();
            if !std::mem::take(&mut ids.is_changed) {
                return Ok(());
            }
            ids.lines()
        };
        let (folder, name) = place(path);
        let dir = OutputDir::create(folder)?;
        for (name, text) in [
            (name.clone(), json(&lines)),
            (name.with_extension("csv"), csv(&lines)),
        ] {
            let mut file = dir.create_file(&name.to_string_lossy())?;
            file.write(text.as_bytes())?;
            file.finish()?;
        }
        Ok(())
    }

    /// A poisoned lock is one whose holder panicked: what it holds is whole anyway.
    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn choose(&self, source: MirrorSource) -> Option<u16> {
        let listed = self.listed.find(source).and_then(|it| it.vlan);
        listed.or_else(|| IDS.clone().find(|id| !self.taken.contains(id)))
    }

    fn give(&mut self, source: MirrorSource, id: u16) {
        self.taken.insert(id);
        self.by_source.insert(source, id);
    }

    /// Gives an id again, unless the list says otherwise of the source or of the id.
    fn take_over(&mut self, source: MirrorSource, id: u16) -> bool {
        let listed = self.listed.find(source).and_then(|it| it.vlan);
        let is_free = listed.map_or_else(|| !self.taken.contains(&id), |listed| listed == id);
        if is_free {
            self.give(source, id);
        } else {
            self.is_changed = true;
        }
        is_free
    }

    fn sorted(&self) -> BTreeSet<(u16, MirrorSource)> {
        let given = self.by_source.iter();
        given.map(|(source, id)| (*id, *source)).collect()
    }

    fn lines(&self) -> Vec<Line> {
        let line = |(vlan, source): (u16, MirrorSource)| {
            let binding = self.listed.find(source);
            Line {
                vlan,
                outer_ip: source.address,
                vni: source.vni.get(),
                name: binding.and_then(|it| it.name.clone()),
                eni: binding.and_then(|it| it.eni.clone()),
            }
        };
        self.sorted().into_iter().map(line).collect()
    }
}

/// Folder and name.
fn place(path: &Path) -> (PathBuf, PathBuf) {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    (
        folder.to_owned(),
        path.file_name().map(PathBuf::from).unwrap_or_default(),
    )
}

/// One object a line, so that `diff` and `grep` are of use.
fn json(lines: &[Line]) -> String {
    let objects: Vec<String> = lines
        .iter()
        .filter_map(|line| serde_json::to_string(line).ok())
        .collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

/// As RFC 4180 has it.
fn csv(lines: &[Line]) -> String {
    let mut text = "vlan,outer_ip,vni,name,eni\n".to_owned();
    let quoted = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        match text.contains(['"', ',']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        }
    };
    for line in lines {
        let (name, eni) = (quoted(&line.name), quoted(&line.eni));
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{},{},{},{name},{eni}",
            line.vlan, line.outer_ip, line.vni
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use vxscope_units::{BindTable, Binding, MirrorSource, Prefix};

    use super::VlanBook;
    use crate::testing::source;

    #[test]
    fn ids_go_to_sources_as_they_come_and_stay_theirs() {
        let book = VlanBook::default();
        let given = [70, 20, 70].map(|vni| book.id(source(vni)));
        assert_eq!(given, [Some(1), Some(2), Some(1)]);
        assert_eq!(book.sources(2), [source(20)]);
        assert_eq!(book.sources(3), []);
    }

    #[test]
    fn there_are_4094_ids_and_not_one_more() {
        let book = VlanBook::default();
        for number in 0..4_094u16 {
            assert_eq!(book.id(source(number.into())), Some(number + 1));
        }
        assert_eq!(book.id(source(4_094)), None);
        assert_eq!(book.id(source(4_093)), Some(4_094));
        assert_eq!(book.mapping().len(), 4_094);
    }

    #[test]
    fn listed_ids_are_kept_for_their_sources() {
        let book = listed(&[(7, 2)]);
        let given = [5, 6, 7].map(|vni| book.id(source(vni)));
        assert_eq!(given, [Some(1), Some(3), Some(2)]);
    }

    #[test]
    fn the_next_run_gives_the_same_ids() {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("vlans.json");
        let book = VlanBook::default();
        assert_eq!(book.restore(&path).unwrap(), 0);
        let given = [9, 8].map(|vni| book.id(source(vni)));
        book.save(&path).unwrap();
        let csv = fs::read_to_string(guard.path().join("vlans.csv")).unwrap();
        assert_eq!(
            csv,
            "vlan,outer_ip,vni,name,eni\n1,192.0.2.1,9,,\n2,192.0.2.1,8,,\n"
        );

        let next = VlanBook::default();
        assert_eq!(next.restore(&path).unwrap(), 2);
        assert_eq!([9, 8].map(|vni| next.id(source(vni))), given);
        assert_eq!(next.id(source(1)), Some(3));
        // A list that says otherwise counts more than what was.
        let other = listed(&[(8, 1)]);
        assert_eq!(other.restore(&path).unwrap(), 0);
        assert_eq!(other.id(source(8)), Some(1));
        assert_eq!(other.id(source(9)), Some(2));
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused() {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("vlans.json");
        for text in ["", "{}", r#"[{"vlan":4095,"outer_ip":"10.0.0.1","vni":1}]"#] {
            fs::write(&path, text).unwrap();
            let error = VlanBook::default().restore(&path).unwrap_err();
            assert!(error.to_string().contains("vlans.json"), "{error}");
        }
    }

    /// A book whose list has these VNIs and ids.
    fn listed(ids: &[(u32, u16)]) -> VlanBook {
        let bindings = ids.iter().map(|(vni, vlan)| {
            let MirrorSource { address, vni } = source(*vni);
            Binding {
                vlan: Some(*vlan),
                ..Binding::new(Prefix::try_new(address, 32).unwrap(), Some(vni))
            }
        });
        let table = BindTable::try_new(bindings.collect()).unwrap();
        VlanBook::new(Arc::new(table))
    }
}
