use alluvium::MaxParallelism;
use alluvium_benches::subtasks::GROUPS;
use serde_json::Value;

use super::contents::{Contents, group_of};
use super::table::Spread;
use super::*;

const SMALL: Contents = Contents { keys: 2_000, value_bytes: 100 };

fn plan(words: &str) -> Outcome<Option<Plan>> {
    arguments::parse(words.split_whitespace().map(str::to_owned))
}

#[test]
fn every_change_on_every_side_reads_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let words = format!("--keys 2000 --rounds 2 --dir {}", directory.path().display());
    let plan = plan(&words).unwrap().unwrap();
    assert_eq!((plan.contents, plan.contents.probes().unwrap().len()), (SMALL, 2_000));
    let sides = measure(&plan).unwrap();
    let names: Vec<_> = sides.iter().map(|side| side.name).collect();
    assert_eq!(names, ["memory", "fs", "cobble, reference", "cobble, adopt"]);
    for side in &sides {
        assert_eq!(side.rounds.len(), 2);
        for round in &side.rounds {
            let times = round.map(|figures| figures.times);
            assert!(
                times.iter().all(|times| 0.0 < times.first_ms && times.first_ms < times.all_ms)
            );
            let copies = round.map(|figures| figures.copied_ms.is_some());
            assert_eq!(copies, [false, side.name == "cobble, adopt", side.name == "cobble, adopt"]);
        }
    }
    let text = table::text(&plan, &sides);
    assert_eq!(text.lines().count(), 3 + 3 * 4, "{text}");
    assert!(text.contains("2 to 3  cobble, adopt"), "{text}");
    let lines = table::json(&plan, &sides);
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let last = &last["rescale"];
    assert_eq!((lines.len(), &last["side"], &last["to"]), (12, &"cobble, adopt".into(), &3.into()));
    let copied = &last["copied_ms"];
    assert!(copied["least"].as_f64().unwrap() <= copied["most"].as_f64().unwrap());
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "something was left behind");
}

#[test]
fn another_value_than_was_written_is_an_error_on_every_side() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let adopt = ExpandStorageMode::AdoptAsync;
    let mut sides: [Box<dyn Turn>; 3] = [
        Box::new(ours::filled("memory", &SMALL, path).unwrap()),
        Box::new(ours::filled("fs", &SMALL, path).unwrap()),
        Box::new(peer::filled(adopt, &SMALL, path).unwrap()),
    ];
    let longer = Contents { value_bytes: 101, ..SMALL }.probes().unwrap();
    let more = Contents { keys: 2_001, ..SMALL }.probes().unwrap();
    for side in &mut sides {
        let error = side.take(&longer).unwrap_err().to_string();
        assert!(error.contains("another value than was written"), "{error}");
        let error = side.take(&more).unwrap_err().to_string();
        assert!(error.contains("has no value"), "{error}");
        side.take(&SMALL.probes().unwrap()).unwrap();
    }
}

#[test]
fn a_bucket_is_the_key_group_of_our_backends() {
    let directory = tempfile::tempdir().unwrap();
    let mut side = ours::filled("memory", &SMALL, directory.path()).unwrap().side;
    let groups = MaxParallelism::new(GROUPS).unwrap();
    let mut instance = side.open_over(Vec::new(), groups.all()).unwrap();
    for entry in SMALL.entries() {
        let group = instance.backend.at(&entry.key).unwrap().key_group();
        assert_eq!(group_of(groups, entry.key), group);
    }
}

#[test]
fn a_spread_is_of_the_middle_and_the_ends() {
    let of = |figures: &[f64]| Spread::of(figures.iter().copied());
    assert_eq!(of(&[]), None);
    let three = format!("{:?}", of(&[9.0, 1.0, 2.0]).unwrap());
    assert_eq!(three, "Spread { median: 2.0, least: 1.0, most: 9.0 }");
    let two = format!("{:?}", of(&[4.0, 1.0]).unwrap());
    assert_eq!(two, "Spread { median: 2.5, least: 1.0, most: 4.0 }");
}

#[test]
fn wrong_words_are_refused_in_one_line() {
    for (words, hint) in [
        ("--keys", "--keys needs a value"),
        ("--keys 0", "--keys must be between 1 and 1000000000, not 0"),
        ("--keys many", "--keys needs a number, not \"many\""),
        ("--value-bytes 2000000", "--value-bytes must be between 1 and 1048576"),
        ("--rounds 0", "--rounds must be between 1 and 1000"),
        ("--dir", "--dir needs a value"),
        ("--dir /nowhere/at/all", "/nowhere/at/all is not a directory"),
        ("--fast", "unknown option --fast"),
        ("value.update", "unknown option value.update"),
    ] {
        let error = plan(words).unwrap_err().to_string();
        assert!(error.starts_with(hint) && error.lines().count() == 1, "{words}: {error}");
        let status = run(words.split_whitespace().map(str::to_owned));
        assert_eq!(format!("{status:?}"), format!("{:?}", ExitCode::from(2)), "{words}");
    }
    assert_eq!(plan("--json --help --keys").unwrap(), None);
    let all = plan("--json --keys 7 --value-bytes 8 --rounds 9").unwrap().unwrap();
    assert_eq!((all.contents, all.rounds), (Contents { keys: 7, value_bytes: 8 }, 9));
    assert!(all.json && plan("").unwrap().unwrap().contents.keys == 1_000_000);
}
