//! Things by id, with what they were a while ago: for a Describe that lags behind.

use std::collections::BTreeMap;

/// What a thing was since when, in ms; `None` when it was gone.
type Versions<T> = Vec<(u64, Option<T>)>;

/// Things of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Shelf<T> {
    things: BTreeMap<String, Versions<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            things: BTreeMap::new(),
        }
    }
}

impl<T: Clone> Shelf<T> {
    /// What a thing is from now on.
    pub(crate) fn put(&mut self, id: &str, thing: T, now: u64) {
        self.push(id, Some(thing), now);
    }

    /// It is gone from now on.
    pub(crate) fn remove(&mut self, id: &str, now: u64) {
        if self.get(id).is_some() {
            self.push(id, None, now);
        }
    }

    /// What it is.
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.things.get(id)?.last()?.1.as_ref()
    }

    /// What it was at a time.
    pub(crate) fn at(&self, id: &str, at: u64) -> Option<&T> {
        seen(self.things.get(id)?, at)
    }

    /// All that are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.things
            .iter()
            .filter_map(|(id, versions)| Some((id, versions.last()?.1.as_ref()?)))
    }

    /// All that were there at a time.
    pub(crate) fn iter_at(&self, at: u64) -> impl Iterator<Item = (&String, &T)> {
        self.things
            .iter()
            .filter_map(move |(id, versions)| Some((id, seen(versions, at)?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    fn push(&mut self, id: &str, thing: Option<T>, now: u64) {
        let versions = self.things.entry(id.to_owned()).or_default();
        versions.push((now, thing));
        // Nothing lags so far behind that more are needed.
        if versions.len() > 8 {
            versions.remove(0);
        }
    }
}

fn seen<T>(versions: &Versions<T>, at: u64) -> Option<&T> {
    let version = versions.iter().rev().find(|(since, _)| *since <= at)?;
    version.1.as_ref()
}
