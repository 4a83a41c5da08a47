//! What differs between a session as it is to be and as it is.

use super::Settings;

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which one: `target`, `filter`, `number`, `packet_length`, `vni`, `description`.
    pub field: &'static str,
    /// What is wanted; `none` for nothing.
    pub wanted: String,
    /// What is there, likewise.
    pub found: String,
}

impl Settings {
    /// The fields in which what is there differs; none if it [is met](Settings::is_met_by).
    #[must_use]
    pub fn differences(&self, there: &Self) -> Vec<Difference> {
        let text =
            |number: Option<u32>| number.map_or_else(|| "none".to_owned(), |one| one.to_string());
        let length = |one: &Self| text(one.packet_length.map(u32::from));
        let rows = [
            ("target", self.target.clone(), there.target.clone()),
            ("filter", self.filter.clone(), there.filter.clone()),
            ("number", self.number.to_string(), there.number.to_string()),
            ("packet_length", length(self), length(there)),
            ("vni", text(self.vni.or(there.vni)), text(there.vni)),
            (
                "description",
                self.description.clone(),
                there.description.clone(),
            ),
        ];
        let differ = rows
            .into_iter()
            .filter(|(_, wanted, found)| wanted != found);
        differ
            .map(|(field, wanted, found)| Difference {
                field,
                wanted,
                found,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_differs_exactly_where_it_is_met() {
        let wanted = Settings {
            target: "tmt-1".to_owned(),
            filter: "tmf-1".to_owned(),
            number: 1,
            description: "ours".to_owned(),
            ..Settings::default()
        };
        type Change = fn(&mut Settings);
        let table: [(Change, &[&str]); 7] = [
            (|_| {}, &[]),
            // What is left to EC2 may be anything.
            (|one| one.vni = Some(7), &[]),
            (
                |one| one.target = "tmt-2".to_owned(),
                &["target: tmt-1, tmt-2"],
            ),
            (
                |one| one.packet_length = Some(64),
                &["packet_length: none, 64"],
            ),
            (|one| one.number = 9, &["number: 1, 9"]),
            (|one| one.description.clear(), &["description: ours, "]),
            (
                |one| (one.filter, one.number) = ("tmf-2".to_owned(), 2),
                &["filter: tmf-1, tmf-2", "number: 1, 2"],
            ),
        ];
        for (change, expected) in table {
            let mut there = wanted.clone();
            change(&mut there);
            let found = wanted.differences(&there);
            let told: Vec<String> = found
                .iter()
                .map(|one| format!("{}: {}, {}", one.field, one.wanted, one.found))
                .collect();
            assert_eq!(told, expected);
            assert_eq!(found.is_empty(), wanted.is_met_by(&there));
        }
    }
}
