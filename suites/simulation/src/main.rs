//! `cargo simulate`: run seeds, print the storyboard of a failure.

fn main() {}
