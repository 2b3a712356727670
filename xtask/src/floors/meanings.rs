//! Within a crate the name of a type stands for one thing.

use crate::code::Code;

/// The names that stand for two things, each with its places.
pub(super) fn twofold(code: &Code) -> Vec<String> {
    let types = code.types();
    let twice = types.iter().filter(|(_, places)| places.len() > 1);
    twice
        .map(|(name, places)| {
            let places: Vec<String> = places
                .iter()
                .map(|(file, line)| format!("{}:{line}", code.path(*file).display()))
                .collect();
            format!("`{name}` stands for {} things: {}", places.len(), places.join(", "))
        })
        .collect()
}
