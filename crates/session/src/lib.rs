//! One client's conversation: names, merging, correlation and subscriptions. Opens no socket, spawns no task.
