//! What is to be run, and where on the input its turning points lie.

use alluvium_state_api::MaxParallelism;
use alluvium_state_api::settings::Settings;
use alluvium_state_api::snapshot::SnapshotKind;

use super::error::{JobError, Result};

/// How checkpoints are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Full snapshots, while the subtask waits.
    Sync,
    /// Full snapshots, written in the background.
    Async,
    /// What changed since the last completed checkpoint, written in the background.
    Incremental,
}

impl Mode {
    /// The kind of snapshot that is asked for.
    pub(super) fn snapshot_kind(self) -> SnapshotKind {
        match self {
            Self::Sync | Self::Async => SnapshotKind::Full,
            Self::Incremental => SnapshotKind::Incremental,
        }
    }

    /// Whether the subtask waits for the snapshot.
    pub(super) fn is_sync(self) -> bool {
        self == Self::Sync
    }

    /// The name, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Incremental => "incremental",
        }
    }
}

/// A place on the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// After so many records, skipped ones included.
    Record(u64),
    /// After so many hundredths of a percent of them.
    BasisPoints(u16),
}

impl Point {
    /// Reads `1000` or `55%` or `12.5%`.
    ///
    /// # Errors
    /// What is wrong with it, for a message.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || "give a number of records, such as 10000, or a share, such as 55%".to_owned();
        let Some(share) = text.strip_suffix('%') else {
            return text.parse().map(Self::Record).ok().ok_or_else(wrong);
        };
        let (whole, fraction) = share.split_once('.').unwrap_or((share, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 2 {
            return Err(wrong());
        }
        let points = format!("{whole}{fraction:0<2}").parse::<u32>();
        let points = points.ok().ok_or_else(wrong)?;
        match u16::try_from(points) {
            Ok(points @ 0..=10_000) => Ok(Self::BasisPoints(points)),
            _ => Err("a share of the input is at most 100%".to_owned()),
        }
    }

    fn on(self, total: u64) -> u64 {
        match self {
            Self::Record(record) => record,
            Self::BasisPoints(points) => share(total, points),
        }
    }
}

/// So many hundredths of a percent of `total`.
fn share(total: u64, points: u16) -> u64 {
    let product = u128::from(total).saturating_mul(u128::from(points));
    u64::try_from(product / 10_000).unwrap_or(u64::MAX)
}

/// Everything about a run but its input and where its checkpoints go.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Settings, checked; `state.backend` among them.
    pub(crate) settings: Settings,
    /// Subtasks until the rescale.
    pub(crate) parallelism: u32,
    /// Subtasks after it.
    pub(crate) rescale_to: u32,
    /// The number of key groups.
    pub(crate) max_parallelism: MaxParallelism,
    /// How checkpoints are taken.
    pub(crate) mode: Mode,
    /// A checkpoint after every so many records; a tenth of the input where `None`.
    pub(crate) checkpoint_every: Option<u64>,
    /// Where to crash; by the rule of [`Course::plan`] where `None`.
    pub(crate) crash_at: Option<Point>,
    /// Whether a run that was ended early is gone on with: where checkpoints outlive the process.
    pub(crate) resumes: bool,
}

/// The turning points of a run, in records from the start of the input, skipped ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    /// The length of the input.
    pub(crate) total: u64,
    /// A checkpoint after every so many records.
    pub(crate) checkpoint_every: u64,
    /// The crash.
    pub(crate) crash_at: u64,
    /// The savepoint and the rescale.
    pub(crate) savepoint_at: u64,
}

impl Course {
    /// Places the turning points on an input of `total` records.
    ///
    /// * A checkpoint after every tenth of the input, unless asked otherwise.
    /// * The crash at 55 % of the input, but not before the first checkpoint is due.
    /// * The savepoint at 75 %, or half-way between the crash and the end if the crash is later.
    ///
    /// # Errors
    /// Usage, if a crash was asked for beyond the end of the input.
    pub(super) fn plan(spec: &Spec, total: u64) -> Result<Self> {
        let checkpoint_every = spec.checkpoint_every.unwrap_or(total / 10).max(1);
        let crash_at = match spec.crash_at {
            Some(point) => point.on(total),
            None => share(total, 5_500).max(checkpoint_every).min(total),
        };
        if crash_at > total {
            return Err(JobError::usage(format!(
                "--crash-at {crash_at} is past the end of the input, which has {total} records; \
                 choose a smaller number, or a share such as 55%"
            )));
        }
        let usual = share(total, 7_500);
        let savepoint_at = if crash_at <= usual { usual } else { crash_at.midpoint(total) };
        Ok(Self { total, checkpoint_every, crash_at, savepoint_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(checkpoint_every: Option<u64>, crash_at: Option<Point>) -> Spec {
        Spec {
            settings: Settings::new(),
            parallelism: 2,
            rescale_to: 3,
            max_parallelism: MaxParallelism::default_for(3).unwrap(),
            mode: Mode::Incremental,
            checkpoint_every,
            crash_at,
            resumes: false,
        }
    }

    #[test]
    fn points_are_records_or_shares() {
        assert_eq!(Point::parse("1000"), Ok(Point::Record(1000)));
        assert_eq!(Point::parse("55%"), Ok(Point::BasisPoints(5_500)));
        assert_eq!(Point::parse("12.5%"), Ok(Point::BasisPoints(1_250)));
        assert_eq!(Point::parse("100%"), Ok(Point::BasisPoints(10_000)));
        for wrong in ["", "%", "-1", "x", "1.5", "101%", "1.234%", "9999999%", ".5%", "+5%"] {
            assert!(Point::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_course_has_checkpoints_before_the_crash() {
        let course = Course::plan(&spec(None, None), 27_004).unwrap();
        assert_eq!(course.checkpoint_every, 2_700);
        assert_eq!((course.crash_at, course.savepoint_at), (14_852, 20_253));
        let course = Course::plan(&spec(Some(20_000), None), 27_004).unwrap();
        assert_eq!((course.crash_at, course.savepoint_at), (20_000, 20_253));
    }

    #[test]
    fn a_late_crash_moves_the_savepoint_and_one_past_the_end_is_refused() {
        let late = Some(Point::Record(90));
        let course = Course::plan(&spec(None, late), 100).unwrap();
        assert_eq!((course.crash_at, course.savepoint_at), (90, 95));
        assert!(Course::plan(&spec(None, Some(Point::Record(101))), 100).is_err());
    }

    #[test]
    fn turning_points_are_ordered_however_short_the_input() {
        for total in 1..50 {
            let course = Course::plan(&spec(None, None), total).unwrap();
            assert!(course.crash_at <= course.savepoint_at && course.savepoint_at <= total);
        }
    }
}
