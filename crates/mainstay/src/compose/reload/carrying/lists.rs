//! Lists of settings in the order of the configuration.

use mainstay_model::Name;

/// Puts the item of this name into a list, or takes it out. The list is in the order of the new configuration.
pub(super) fn place<T: Clone>(
    list: &mut Vec<T>,
    (from, order): (&[T], &[T]),
    (name, is_gone): (&Name, bool),
    named: impl Fn(&T) -> &Name,
) {
    list.retain(|item| named(item) != name);
    if !is_gone {
        list.extend(from.iter().find(|item| named(item) == name).cloned());
    }
    sort(list, order, named);
}

/// Sorts a list like another one. What is not in that one comes last.
pub(super) fn sort<T>(list: &mut [T], order: &[T], named: impl Fn(&T) -> &Name) {
    let position = |item: &T| order.iter().position(|other| named(other) == named(item));
    list.sort_by_key(|item| position(item).unwrap_or(usize::MAX));
}
