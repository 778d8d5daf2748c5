//! The contract plugin in Rust: what testdata/contract_test.go calls in each language. See there for what the functions do.

use taskhost::{object, Error, Json, Level, Request};

fn echo(input: Vec<u8>) -> Result<Vec<u8>, Error> {
    Ok(input)
}
taskhost::process!(echo);

fn upper(text: String) -> Result<String, Error> {
    let lines: Vec<&str> = text.split('\n').collect();
    for (i, line) in lines.iter().enumerate() {
        taskhost::progress(i + 1, lines.len(), line);
    }
    Ok(text.to_ascii_uppercase())
}
taskhost::process!(upper);

fn fail(message: String) -> Result<String, String> {
    Err(message)
}
taskhost::process!(fail);

fn invalid(message: String) -> Result<String, Error> {
    Err(Error::invalid(message))
}
taskhost::process!(invalid);

fn panics(message: String) -> Result<String, Error> {
    panic!("{}", message)
}
taskhost::process!(panics as panic);

fn trap(_: Vec<u8>) -> Result<Vec<u8>, Error> {
    core::arch::wasm32::unreachable()
}
taskhost::process!(trap);

taskhost::args! {
    struct Args {
        name: String,
        times: i64 = 0,
        loud: bool = false,
        scale: f64 = 0.0,
    }
}

fn action(a: Args) -> Result<Json, Error> {
    Ok(object! { "name": a.name, "times": a.times, "loud": a.loud, "scale": a.scale })
}
taskhost::action!(action);

fn config(key: String) -> Result<String, Error> {
    taskhost::config(&key).ok_or_else(|| Error::new("no such key"))
}
taskhost::process!(config);

fn logs(text: String) -> Result<String, Error> {
    for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
        taskhost::log(level, &text);
    }
    Ok(String::new())
}
taskhost::process!(logs);

fn metrics(_: String) -> Result<String, Error> {
    taskhost::metric_add("pages_total", 2.0, &[("kind", "a")])?;
    taskhost::metric_set("level", -1.0, &[])?;
    taskhost::metric_observe("seconds", 0.5, &[])?;
    Ok(taskhost::metric_add("Pages", 1.0, &[]).err().unwrap_or_default())
}
taskhost::process!(metrics);

fn vars(value: Vec<u8>) -> Result<Vec<u8>, Error> {
    let old = taskhost::var("kept").unwrap_or_else(|| b"none".to_vec());
    taskhost::set_var("kept", &value);
    taskhost::set_var("gone", b"");
    Ok(old)
}
taskhost::process!(vars);

fn http(url: String) -> Result<String, Error> {
    let r = taskhost::http(&Request { method: "PUT", url: &url, headers: &[("X-Sent", "1")], body: b"b" });
    Ok(format!("{} {}", r.status, String::from_utf8(r.body)?))
}
taskhost::process!(http);

fn header(url: String) -> Result<String, Error> {
    let r = taskhost::http(&Request { url: &url, ..Default::default() });
    Ok(r.headers.get("x-seen").cloned().unwrap_or_default())
}
taskhost::process!(header);

fn checkpoint(input: String) -> Result<Vec<u8>, Error> {
    let mut state = taskhost::load_checkpoint().unwrap_or_default();
    match input.as_str() {
        "forget" => state.clear(),
        "much" => state = vec![0; (64 << 10) + 1],
        _ => state.extend(input.bytes()),
    }
    taskhost::save_checkpoint(&state)?;
    Ok(taskhost::load_checkpoint().unwrap_or_default())
}
taskhost::process!(checkpoint);

fn fraction(_: String) -> Result<String, Error> {
    taskhost::progress(1, 4, "one of four");
    taskhost::progress_fraction(0.5, "half");
    taskhost::progress(5, 3, "");
    Ok(taskhost::cancelled().to_string())
}
taskhost::process!(fraction);

fn cancel(_: String) -> Result<String, Error> {
    taskhost::progress(0, 1, "");
    while !taskhost::cancelled() {}
    Err(Error::new("tidied up"))
}
taskhost::process!(cancel);

fn endless(_: String) -> Result<String, Error> {
    taskhost::progress(0, 1, "");
    loop {
        std::sync::atomic::AtomicU32::new(0).fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
taskhost::process!(endless as r#loop);
