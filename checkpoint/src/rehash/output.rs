//! The canonical files of an operator under another number of key groups.

use alluvium_state_api::format::{
    FileForm, SequentialWriter, StateFileSpec, StateFileWriter, StateTotals,
};
use alluvium_state_api::snapshot::{KeyedSnapshot, Progress, SnapshotContext, SnapshotKind};
use alluvium_state_api::storage::{FileScope, SnapshotSink};
use alluvium_state_api::{Error, KeyGroup, KeyGroupRange, Result};

use super::RehashOptions;
use super::gather::{Gatherer, Piece};
use super::input::Input;
use crate::operator::Operator;

/// What a file under construction takes, about: its buffers, and those of a local file.
const WRITER_BYTES: usize = 1 << 20;
/// The most files that are written at once.
const MOST_WRITERS: usize = 64;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The snapshots of the new subtasks.
    pub(super) snapshots: Vec<KeyedSnapshot>,
    /// The content of each state, over all of them.
    pub(super) totals: Vec<StateTotals>,
    /// How often the input was read, or parts of it, counted by state.
    pub(super) passes: u64,
}

/// The file of one subtask.
struct Part {
    spec: StateFileSpec,
    writer: SequentialWriter,
    section: Option<(u16, KeyGroup)>,
}

/// Writes `input` as the files of `operator`.
///
/// # Errors
/// As [`Input::read`], and where the sink fails.
pub(super) fn write(
    input: &Input,
    operator: &Operator,
    sink: &dyn SnapshotSink,
    options: &RehashOptions,
) -> Result<Output> {
    let mut output =
        Output { totals: vec![StateTotals::default(); input.states.len()], ..Output::default() };
    let memory = usize::try_from(options.memory_bytes).unwrap_or(usize::MAX);
    let at_once = (memory / 4 / WRITER_BYTES).clamp(1, MOST_WRITERS);
    let subtasks: Vec<u32> = (0..operator.parallelism()).collect();
    for subtasks in subtasks.chunks(at_once) {
        let mut parts = Vec::new();
        for subtask in subtasks {
            parts.push(Part::begin(input, operator, *subtask, sink, options)?);
        }
        for id in 0..input.states.len() {
            output.passes += write_state(input, id, operator, &mut parts, options)?;
        }
        for part in parts {
            let written = part.writer.finish()?;
            for (total, state) in output.totals.iter_mut().zip(&written.states) {
                add(total, state);
            }
            let kind = SnapshotKind::Canonical;
            output.snapshots.push(KeyedSnapshot::of_file("", kind, &part.spec, written));
        }
    }
    Ok(output)
}

fn add(total: &mut StateTotals, state: &StateTotals) {
    total.entries = total.entries.saturating_add(state.entries);
    total.elements = total.elements.saturating_add(state.elements);
    total.digest.0 = total.digest.0.wrapping_add(state.digest.0);
    total.stored_bytes = total.stored_bytes.saturating_add(state.stored_bytes);
}

impl Part {
    fn begin(
        input: &Input,
        operator: &Operator,
        subtask: u32,
        sink: &dyn SnapshotSink,
        options: &RehashOptions,
    ) -> Result<Self> {
        let spec = StateFileSpec {
            key: input.key.clone(),
            groups: operator.groups(),
            range: operator.range_of(subtask)?,
            states: input.states.clone(),
            form: FileForm::Canonical,
        };
        let progress = &Progress::default();
        let context = SnapshotContext { sink, cancel: &options.cancel, progress };
        let (scope, compression) = (FileScope::Own, options.compression);
        let writer = StateFileWriter::create(&context, scope, spec.clone(), compression)?;
        Ok(Self { spec, writer: writer.into_sequential(), section: None })
    }
}

/// Writes one state into all `parts`; says how many passes over the input that took.
fn write_state(
    input: &Input,
    id: usize,
    operator: &Operator,
    parts: &mut [Part],
    options: &RehashOptions,
) -> Result<u64> {
    let ends =
        (parts.first().map(|part| part.spec.range), parts.last().map(|part| part.spec.range));
    let ((Some(first), Some(last)), Some(state)) = (ends, input.states.get(id)) else {
        return Ok(0);
    };
    let many = |_| Error::unsupported("a snapshot holds at most 65,535 states");
    let id = u16::try_from(id).map_err(many)?;
    let memory = usize::try_from(options.memory_bytes).unwrap_or(usize::MAX);
    let mut gatherer = Gatherer::new(memory / 4 * 3);
    let mut passes = 0;
    loop {
        let start = gatherer.first_group().index().max(first.start());
        let wanted = KeyGroupRange::new(start, last.end())?;
        passes += 1;
        input.read(&state.name, operator.groups(), wanted, &options.cancel, &mut gatherer)?;
        let mut at = 0;
        let more = gatherer.finish_pass(&mut |group, key, piece| {
            // Key groups ascend, and so do the parts that own them.
            while parts.get(at).is_some_and(|part| part.spec.range.end() <= group.index()) {
                at += 1;
            }
            let part = parts.get_mut(at).ok_or_else(|| Error::bug("a key group of no subtask"))?;
            if part.section != Some((id, group)) {
                part.section = Some((id, group));
                part.writer.section(id, group)?;
            }
            match piece {
                Piece::Value(value) => part.writer.put(key, value),
                Piece::Elements(first, elements) => part.writer.list(key, first, elements),
            }
        });
        if !more.map_err(|error| named(error, &state.name))? {
            return Ok(passes);
        }
    }
}

fn named(error: Error, state: &str) -> Error {
    if error.state().is_some() { error } else { error.with_state(state) }
}
