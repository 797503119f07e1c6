//! A server that checks signatures: `scripts/s3 --second`. Nothing here means anything to one that does not.

use alluvium_state_api::ErrorKind;
use alluvium_state_api::testkit::storages::content::{check_whole, id, take};
use alluvium_state_api::testkit::storages::job;

use crate::bucket::Bucket;

#[test]
#[ignore = "needs a server that checks signatures: scripts/s3 --second"]
fn a_wrong_secret_is_refused_in_our_words_and_the_right_one_goes_on() {
    let bucket = Bucket::new();
    let wrong = bucket.open_as("b8a4f7c2e1-wrong", bucket.port(), &job(), None).unwrap();
    let refused = [
        wrong.list().map(drop).unwrap_err(),
        wrong.load(id(1)).map(drop).unwrap_err(),
        take(&*wrong, 1).map(drop).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("denied") || text.contains("credentials"), "{text}");
        assert!(!text.contains("b8a4f7c2e1") && !text.contains("Signature"), "{text}");
    }
    assert_eq!(bucket.objects(), [""; 0]);
    let right = bucket.open(bucket.port(), &job(), None).unwrap();
    take(&*right, 1).unwrap();
    check_whole(&right.load(id(1)).unwrap()).unwrap();
}
