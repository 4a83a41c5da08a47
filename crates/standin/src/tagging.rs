//! Tags: of everything, by id.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::answer::{Answer, Refusal};
use crate::request::{Request, check_tags};
use crate::xml::Xml;

type Tags = BTreeMap<String, String>;

pub(crate) fn write_tags(xml: &mut Xml, tags: &Tags) {
    // An interface has its tags under the same name as an instance.
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.leaf("key", key).leaf("value", value);
    });
}

impl Account {
    pub(crate) fn create_tags(&mut self, request: &Request) -> Answer {
        let tags = request.pairs("Tag");
        check_tags(&tags)?;
        self.change_tags(request, |there| {
            there.extend(tags.clone());
            check_tags(there)
        })
    }

    /// Without a value, or with the one that is there.
    pub(crate) fn delete_tags(&mut self, request: &Request) -> Answer {
        let keys: Vec<(String, Option<String>)> = (1..)
            .map_while(|at| {
                let key = request.text(&format!("Tag.{at}.Key"))?;
                let value = request.text(&format!("Tag.{at}.Value"));
                Some((key.to_owned(), value.map(str::to_owned)))
            })
            .collect();
        self.change_tags(request, |there| {
            for (key, value) in &keys {
                if value.is_none() || there.get(key) == value.as_ref() {
                    there.remove(key);
                }
            }
            Ok(())
        })
    }

    fn change_tags(
        &mut self,
        request: &Request,
        change: impl Fn(&mut Tags) -> Result<(), Refusal>,
    ) -> Answer {
        let ids = request.list("ResourceId");
        if ids.is_empty() {
            return Err(Refusal::missing("resourceIdSet"));
        }
        for dry in [true, false] {
            for id in &ids {
                self.change_tags_of(id, dry, &change)?;
            }
            if dry {
                Self::stop_if_dry(request)?;
            }
        }
        let mut xml = Xml::default();
        xml.leaf("return", true);
        Ok(xml)
    }

    fn change_tags_of(
        &mut self,
        id: &str,
        dry: bool,
        change: &impl Fn(&mut Tags) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        macro_rules! on {
            ($shelf:ident) => {
                if let Some(mut thing) = self.$shelf.get(id).cloned() {
                    change(&mut thing.tags)?;
                    if !dry {
                        self.$shelf.put(id, thing, self.now);
                    }
                    return Ok(());
                }
            };
        }
        on!(instances);
        on!(interfaces);
        on!(targets);
        on!(filters);
        on!(sessions);
        Err(Refusal::unknown("InvalidID", id))
    }
}
