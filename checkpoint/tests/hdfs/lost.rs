//! Each request of a checkpoint's life that changes something is lost, once, in three ways.

use std::collections::BTreeSet;

use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::testkit::storages::content::{encode, id, write_three};
use alluvium_state_api::{ErrorKind, Result};

use crate::cluster::{cluster, fresh, look, open};
use crate::proxy::{Loss, Proxy};

/// What a coordinator was told.
#[derive(Debug, Default)]
struct Story {
    acknowledged: BTreeSet<u64>,
    refused: BTreeSet<u64>,
    outcomes: BTreeSet<String>,
}

impl Story {
    fn checkpoint(&mut self, storage: &dyn CheckpointStorage, number: u64) -> Result<()> {
        let attempt = storage.begin(id(number))?;
        let files = write_three(&*attempt.sink(), number);
        match files.and_then(|files| attempt.publish(&encode(&files))) {
            Ok(()) => {
                self.acknowledged.insert(number);
                self.outcomes.insert("done".into());
            }
            Err(error) => {
                self.outcomes.insert(format!("{:?}", error.kind()));
                // An abort that succeeds is final, and so is every other refusal.
                if attempt.abort().is_ok() || error.kind() != ErrorKind::Indeterminate {
                    self.refused.insert(number);
                }
            }
        }
        Ok(())
    }

    /// Two checkpoints and the end of the first.
    fn live(&mut self, storage: &dyn CheckpointStorage) {
        drop(self.checkpoint(storage, 1));
        drop(self.checkpoint(storage, 2));
        self.acknowledged.remove(&1);
        if storage.discard(id(1), &[]).is_ok() {
            self.refused.insert(1);
        }
    }
}

#[test]
fn a_lost_request_or_answer_never_makes_half_a_checkpoint() {
    let proxy = Proxy::before(&cluster()["hdfs://".len()..]);
    let (mut points, mut bad, mut outcomes) = (0, 0, BTreeSet::new());
    let run = |loss: Option<(u64, Loss)>| {
        let place = fresh();
        let at = place.root.join("checkpoints");
        let storage = open(&format!("{}{}", proxy.cluster, at.display())).unwrap();
        let mut story = Story::default();
        proxy.lose(loss);
        story.live(&*storage);
        let seen = proxy.seen();
        proxy.release();
        proxy.lose(None);
        let direct = open(&place.place("checkpoints")).unwrap();
        let mut wrong = look(&*direct, &story.acknowledged, &story.refused);
        // What was lost is no obstacle to what comes next, on the same connection.
        if let Err(error) = storage.begin(id(3)).and_then(|attempt| attempt.publish(b"end")) {
            wrong.push(format!("the next checkpoint failed: {error}"));
        }
        (seen, story, wrong)
    };
    let (requests, story, wrong) = run(None);
    assert_eq!((story.acknowledged.len(), wrong), (1, Vec::new()));
    assert!(requests > 20, "{requests}");
    for loss in [Loss::Request, Loss::Answer, Loss::Late] {
        for number in 1..=requests {
            let (_, story, wrong) = run(Some((number, loss)));
            points += 1;
            bad += u64::from(!wrong.is_empty());
            for problem in wrong {
                println!("{loss:?} of request {number}: {problem}");
            }
            outcomes.extend(story.outcomes);
        }
    }
    println!(
        "hdfs requests: points={points} faults={points} bad={bad} seed=0 outcomes={outcomes:?}"
    );
    assert_eq!(bad, 0);
    let told = ["Indeterminate", "Unavailable", "done"].map(String::from);
    assert!(outcomes.is_superset(&BTreeSet::from(told)), "{outcomes:?}");
}
