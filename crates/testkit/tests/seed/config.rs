//! Configurations: every type of value, and the slips people make.

use super::Seed;

const TEXTS: [(&str, &str); 16] = [
    ("empty", ""),
    (
        "assignments",
        "flow.flows_max=5000\nrings.memory=1GiB\nexport.kinds=eve,conn-log\nflow.scope=vni",
    ),
    (
        "assigned-table",
        "flow.timeouts.tcp={new=10, closed=5}\nexport.eve={strict=true}\nworkers={count=4}",
    ),
    (
        "choices",
        "[flow]\nscope = 'vni'\n[export]\nkinds = [\"decap\", \"eve\"]\n[export.decap]\nvlan = \"qinq\"\n",
    ),
    (
        "sizes",
        "[rings]\nmemory = \"64 MiB\"\nhead = '1KiB'\ntail = 4096\nprivate = \"1MiB\"\n",
    ),
    (
        "numbers",
        "seed = 0xdead_beef\n[flow]\nflows_max = 8\nsource_share = 1.0\nsources_max = 16_777_215\n",
    ),
    (
        "ports",
        "[decapsulation]\nvxlan_ports = [4789, 8472]\ngeneve_ports = []\ndepth = 4\n",
    ),
    (
        "inline",
        "flow = { timeouts = { udp = { new = 1 }, icmp.established = 2 } }\n",
    ),
    (
        "rings-off",
        "[rings]\nenabled = false\nprivate_share = 0.0\n",
    ),
    ("unknown-key", "[flow]\nflow_max = 5\n[ring]\nhead = 1\n"),
    (
        "wrong-types",
        "seed = 1.5\n[flow]\nflows_max = true\nscope = 7\n[rings]\nmemory = 1979-05-27\n",
    ),
    (
        "out-of-range",
        "[workers]\ncount = 0\n[flow]\nsource_share = inf\nflows_max = -1\n",
    ),
    (
        "contradictions",
        "[decapsulation]\nvxlan_ports = [6081]\n[workers]\ncount = 64\n[flow]\nflows_max = 9\n[rings]\nmemory = '1MiB'\n",
    ),
    ("not-toml", "[flow\nscope = \n= 3\nseed = \"\\q\n'''"),
    ("twice", "seed = 1\nseed = 2\n[flow]\n[flow]\n[[flow]]\n"),
    (
        "characters",
        "\"\\u0000\" = 1\n'ß\u{1b}' = \"\u{feff}\"\r\n# \u{7f}\n",
    ),
];

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = TEXTS
        .iter()
        .map(|(name, text)| (*name, text.as_bytes().to_vec()))
        .collect();
    seeds.push((
        "no-utf8",
        b"seed = 1 # \xff\xfe\n[flow]\nscope = \"\xc3\"\n".to_vec(),
    ));
    seeds
}
