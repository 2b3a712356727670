//! Side-by-side measurements of Mainstay and its peers on one machine.
