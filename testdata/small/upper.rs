//! The smallest processor in Rust.

fn process(mut text: Vec<u8>) -> Result<Vec<u8>, taskhost::Error> {
    text.make_ascii_uppercase();
    Ok(text)
}
taskhost::process!(process);
