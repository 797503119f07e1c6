//! Random operations with snapshots in flight, against the model.

use super::super::VarKey;
use super::rig::{Kind, Rig};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Put(u32, u32),
    Edit(u32, u32),
    Remove(u32),
    Get(u32),
    PutMany { from: u32, count: u32, value: u32 },
    EditMany { from: u32, count: u32, value: u32 },
    RemoveMany { from: u32, count: u32 },
    Begin { increment: bool },
    Step { which: usize, steps: usize, confirm: bool },
    Cancel(usize),
}

fn ops(keys: u32, many: u32) -> impl Strategy<Value = Vec<Op>> {
    let key = 0..keys;
    let op = prop_oneof![
        4 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Op::Put(key, value)),
        4 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Op::Edit(key, value)),
        4 => key.clone().prop_map(Op::Remove),
        4 => key.clone().prop_map(Op::Get),
        4 => (key.clone(), 0..many, any::<u32>())
            .prop_map(|(from, count, value)| Op::PutMany { from, count, value }),
        2 => (key.clone(), 0..many, any::<u32>())
            .prop_map(|(from, count, value)| Op::EditMany { from, count, value }),
        3 => (key, 0..many).prop_map(|(from, count)| Op::RemoveMany { from, count }),
        6 => any::<bool>().prop_map(|increment| Op::Begin { increment }),
        12 => (0_usize..10, 1_usize..12, any::<bool>())
            .prop_map(|(which, steps, confirm)| Op::Step { which, steps, confirm }),
        1 => (0_usize..10).prop_map(Op::Cancel),
    ];
    prop::collection::vec(op, 1..80)
}

fn run<K: Kind>(keys: u32, ops: Vec<Op>) {
    let mut rig = Rig::<K>::new();
    for op in ops {
        let flights = rig.flights.len();
        match op {
            Op::Put(key, value) => rig.put(key, value),
            Op::Edit(key, value) => rig.edit(key, value),
            Op::Remove(key) => rig.remove(key),
            Op::Get(key) => rig.get(key),
            Op::PutMany { from, count, value } => {
                (0..count).for_each(|i| rig.put((from + i * 7) % keys, value.wrapping_add(i)));
            }
            Op::EditMany { from, count, value } => {
                (0..count).for_each(|i| rig.edit((from + i * 5) % keys, value.wrapping_add(i)));
            }
            Op::RemoveMany { from, count } => {
                (0..count).for_each(|i| rig.remove((from + i * 3) % keys));
            }
            Op::Begin { increment } if flights < 10 => rig.begin(increment),
            Op::Step { which, steps, confirm } if flights > 0 => {
                let which = which % flights;
                let _done = (0..steps).all(|_| rig.step(which, confirm));
            }
            Op::Cancel(which) if flights > 0 => rig.cancel(which % flights),
            _ => {}
        }
    }
    rig.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..Default::default() })]

    #[test]
    fn small_fixed_tables_match_the_model(ops in ops(200, 50)) {
        run::<[u8; 8]>(200, ops);
    }

    #[test]
    fn large_fixed_tables_match_the_model(ops in ops(30_000, 9_000)) {
        run::<[u8; 8]>(30_000, ops);
    }

    #[test]
    fn variable_tables_match_the_model(ops in ops(3_000, 1_500)) {
        run::<VarKey>(3_000, ops);
    }
}
