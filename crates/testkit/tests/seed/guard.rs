//! Sequences at the gate: three bytes a step, after one that chooses the rules.

use super::Seed;

// What, as the property reads it.
const JUDGE: u8 = 0;
const SEE: u8 = 4;
const SEE_AT: u8 = 6;
const SEE_ALL: u8 = 7;
const SECONDS: u8 = 8;
const MINUTES: u8 = 9;
const ENROL: u8 = 10;
const PIN: u8 = 11;
const COMMAND: u8 = 12;
const RESTORE: u8 = 13;
const WITHDRAW: u8 = 14;
const BACK: u8 = 15;

// How much of it.
const OFF: u8 = 0;
const TRUNCATED: u8 = 3;
const FULL: u8 = 4;
const LOW: u8 = 2;
const STANDARD: u8 = 1;
const SHORT: u8 = 3;
const SAFE: u8 = 5;

pub(crate) fn seeds() -> Vec<Seed> {
    let fleet = |bounds: u8| -> Vec<[u8; 3]> {
        let rows = (0..6).map(|row| [ENROL, row, bounds]);
        let ready = [[COMMAND, 0, SAFE], [SEE_ALL, 0, 0], [MINUTES, 0, 90]];
        rows.chain(ready).collect()
    };
    let after = |rules: u8, bounds: u8, steps: &[[u8; 3]]| -> Vec<u8> {
        let all = [fleet(bounds), steps.to_vec()].concat();
        [vec![rules], all.concat()].concat()
    };
    let down_and_up = [
        [JUDGE, 0, OFF],
        [SEE, 0, 0],
        [MINUTES, 0, 240],
        [SEE, 0, 0],
        [MINUTES, 0, 59],
        [JUDGE, 0, OFF],
        [MINUTES, 0, 1],
        [JUDGE, 0, OFF],
    ];
    let step_by_step = [
        [JUDGE, 0, TRUNCATED],
        [MINUTES, 0, 61],
        [JUDGE, 0, 1],
        [MINUTES, 0, 59],
        [SEE, 0, 0],
        [MINUTES, 0, 60],
        [JUDGE, 0, FULL],
        [SEE, 0, 0],
    ];
    let everybody: Vec<[u8; 3]> = (0..6)
        .flat_map(|row| [[JUDGE, row, OFF], [SECONDS, 0, 60]])
        .collect();
    let pinned = [
        [JUDGE, 0, OFF],
        [PIN, 0, 1],
        [SECONDS, 0, 1],
        [PIN, 1, 1],
        [PIN, 2, 1],
        [JUDGE, 3, OFF],
        [PIN, 0, 193],
        [JUDGE, 3, OFF],
    ];
    let clock = [
        [JUDGE, 0, OFF],
        [SEE, 0, 0],
        [BACK, 0, 200],
        [SEE, 0, 0],
        [JUDGE, 0, OFF],
    ];
    let shrinks = [
        [JUDGE, 0, OFF],
        [SECONDS, 0, 60],
        [JUDGE, 2, OFF],
        [WITHDRAW, 4, 0],
        [SECONDS, 0, 1],
    ];
    let restart = [
        [RESTORE, 0, 10],
        [RESTORE, 1, 250],
        [RESTORE, 2, 17],
        [COMMAND, 0, 3],
        [COMMAND, 0, 4],
        [SEE_AT, 3, OFF],
    ];
    let flapping: Vec<[u8; 3]> = (0..8)
        .flat_map(|_| {
            [
                [JUDGE, 0, OFF],
                [SEE, 0, 0],
                [JUDGE, 0, FULL],
                [SEE_ALL, 0, 0],
                [MINUTES, 0, 1],
            ]
        })
        .collect();
    vec![
        ("down-and-up", after(0, LOW, &down_and_up)),
        ("step-by-step", after(0, STANDARD, &step_by_step)),
        ("everybody", after(1, LOW, &everybody)),
        ("pinned", after(0, LOW, &pinned)),
        ("clock-goes-back", after(0, LOW, &clock)),
        ("group-shrinks", after(3, LOW, &shrinks)),
        ("restart", after(0, SHORT, &restart)),
        ("flapping", after(2, SHORT, &flapping)),
    ]
}
