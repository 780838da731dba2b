//! Answers kept in files.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use chat_model::{
    CacheConfig, CacheStats, Cached, ChatModel as _, Error, Request, Response, Scripted,
};

use crate::common::{Slow, echo, numbered, status};

fn config(folder: &tempfile::TempDir) -> CacheConfig {
    CacheConfig { folder: folder.path().join("cache"), ..CacheConfig::default() }
}

/// All files of a cache.
fn files(config: &CacheConfig) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for folder in fs::read_dir(&config.folder).unwrap() {
        out.extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|f| f.unwrap().path()));
    }
    out.sort();
    out
}

#[tokio::test]
async fn the_same_request_is_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let scripted = Arc::new(Scripted::texts("m", ["one", "two", "three"]));
    let model = Cached::open(Arc::clone(&scripted), &config).unwrap();
    let asked = |lane: &str| Request { lane: lane.to_owned(), ..numbered(0) };
    let first = model.answer(&asked("a")).await.unwrap();
    assert_eq!(model.answer(&asked("a")).await.unwrap(), first);
    // A lane of its own is a sample of its own.
    assert_eq!(model.answer(&asked("b")).await.unwrap().text, "two");
    assert_eq!(model.stats(), CacheStats { hits: 1, misses: 2, ..CacheStats::default() });
    drop(model);
    let model = Cached::open(Arc::clone(&scripted), &config).unwrap();
    assert_eq!(model.answer(&asked("a")).await.unwrap(), first);
    assert_eq!(scripted.asked(), 2);
    // Another model knows nothing of it.
    let other = Cached::open(Scripted::texts("other", ["mine"]), &config).unwrap();
    assert_eq!(other.answer(&asked("a")).await.unwrap().text, "mine");
}

#[tokio::test]
async fn failures_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let outcomes = [Err(status(500, None)), Ok(Response::from_text("m", "yes"))];
    let model = Cached::open(Scripted::sequence("m", outcomes), &config(&folder)).unwrap();
    model.answer(&numbered(0)).await.unwrap_err();
    assert_eq!(model.answer(&numbered(0)).await.unwrap().text, "yes");
    assert_eq!(model.answer(&numbered(0)).await.unwrap().text, "yes");
}

#[tokio::test]
async fn corrupt_entries_are_asked_for_again_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let model = Cached::open(echo(), &config).unwrap();
    let good = model.answer(&numbered(0)).await.unwrap();
    let [path] = files(&config).try_into().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let hostile = [
        String::new(),
        text[..text.len() / 2].to_owned(),
        "[".repeat(100_000),
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("\"text\"", "\"txet\""),
        // The entry of another request under this name.
        text.replacen(&path.file_stem().unwrap().to_string_lossy()[..8], "00000000", 1),
    ];
    let n = hostile.len() as u64;
    for bad in hostile {
        assert_ne!(bad, text);
        fs::write(&path, bad).unwrap();
        assert_eq!(model.answer(&numbered(0)).await.unwrap(), good);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, [0xFF, 0xFE]).unwrap();
    assert_eq!(model.answer(&numbered(0)).await.unwrap(), good);
    let expected = CacheStats { misses: n + 2, corrupt: n + 1, ..CacheStats::default() };
    assert_eq!(model.stats(), expected);
}

#[tokio::test]
async fn the_longest_unused_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let model = Cached::open(echo(), &config).unwrap();
    model.answer(&numbered(10)).await.unwrap();
    let entry_bytes = files(&config)[0].metadata().unwrap().len();
    drop(model);
    let config = CacheConfig { max_bytes: 10 * entry_bytes, ..config };
    let model = Cached::open(echo(), &config).unwrap();
    for n in 11..40 {
        model.answer(&numbered(n)).await.unwrap();
        // Used all the time, so never the longest unused.
        tokio::time::sleep(Duration::from_millis(2)).await;
        model.answer(&numbered(10)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(files(&config).len() <= 10);
    }
    assert!(files(&config).len() >= 9);
    assert_eq!(model.stats().hits, 29);
    // Opened with less room, it takes less.
    let config = CacheConfig { max_bytes: 3 * entry_bytes, ..config };
    Cached::open(echo(), &config).unwrap();
    assert_eq!(files(&config).len(), 3);
}

#[tokio::test]
async fn what_dead_writers_left_goes_and_what_live_ones_write_stays() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let shelf = config.folder.join("ab");
    fs::create_dir_all(&shelf).unwrap();
    fs::write(shelf.join(".partial-1-0-x"), "half").unwrap();
    let old = fs::File::create(shelf.join(".partial-2-0-x")).unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_hours(2)).unwrap();
    fs::write(config.folder.join("README"), "not ours").unwrap();
    Cached::open(echo(), &config).unwrap();
    let left: Vec<_> = fs::read_dir(&shelf).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, [".partial-1-0-x"]);
    assert!(config.folder.join("README").exists());
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_still_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let model = Cached::open(echo(), &config).unwrap();
    fs::remove_dir_all(&config.folder).unwrap();
    fs::write(&config.folder, "in the way").unwrap();
    assert_eq!(model.answer(&numbered(0)).await.unwrap().text, "request 0");
    assert_eq!(model.stats().unwritten, 1);
    let error = Cached::open(echo(), &config).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().starts_with("cannot open the cache "), "{error}");
}

#[tokio::test]
async fn cancelled_requests_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let model = Cached::open(Slow::new(Duration::from_mins(1)), &config).unwrap();
    let request = numbered(0);
    let cut = tokio::time::timeout(Duration::from_millis(20), model.answer(&request)).await;
    assert!(cut.is_err());
    assert!(files(&config).is_empty());
    assert_eq!(model.stats(), CacheStats { misses: 1, ..CacheStats::default() });
}
