//! Counts words in memory: the smallest program with keyed state.
//!
//!     cargo run --example word_count
#![expect(clippy::print_stdout, reason = "an example")]
use alluvium::memory::MemoryStore;
use alluvium::{KeyedBackend, MaxParallelism, OpenEnv, Result, ValueDescriptor, ValueState};
use std::ops::ControlFlow;

const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");

fn main() -> Result<()> {
    let groups = MaxParallelism::new(128)?;
    let keys = KeyedBackend::<String>::key_space(groups, groups.all())?;
    let mut backend = KeyedBackend::<String, _>::new(MemoryStore::open(OpenEnv::new(keys))?)?;
    let count = backend.open(COUNT)?;
    for word in "to be or not to be that is the question".split(' ') {
        let mut state = backend.at(word)?;
        state.value(count).update(|n| Some(n.unwrap_or(0) + 1))?;
    }
    let mut words = Vec::new();
    backend.for_each_key(count, |word| {
        words.push(word);
        Ok(ControlFlow::Continue(()))
    })?;
    for word in words {
        let n = backend.at(word.as_str())?.value(count).get()?;
        println!("{word} {}", n.unwrap_or(0));
    }
    Ok(())
}
