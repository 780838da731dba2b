//! A server that misbehaves to order, on loopback.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// Sends this, then closes the connection.
    Send(Vec<u8>),
    /// Sends this over and over, until nobody reads it.
    Flood(Vec<u8>),
    /// Sends this over and over, byte by byte with so much time between them, until nobody reads it.
    Trickle(Vec<u8>, Duration),
    /// Closes the connection without a word.
    HangUp,
    /// Sends this and then nothing, keeping the connection open.
    Stall(Vec<u8>),
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// A server that does one deed after the other, then the last one again and again.
pub(crate) struct Server {
    pub(crate) base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(deeds: impl IntoIterator<Item = Deed>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let deeds: Vec<Deed> = deeds.into_iter().collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut n = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let deed = deeds[n.min(deeds.len() - 1)].clone();
                n += 1;
                // Connections end by themselves: the client goes away.
                tokio::spawn(serve(stream, deed, Arc::clone(&log)));
            }
        });
        Self { base_url, seen, task }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, deed: Deed, log: Arc<Mutex<Vec<Seen>>>) {
    let Some(seen) = read_request(&mut stream).await else { return };
    log.lock().unwrap().push(seen);
    match deed {
        Deed::HangUp => {}
        Deed::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Deed::Flood(bytes) => while stream.write_all(&bytes).await.is_ok() {},
        Deed::Trickle(bytes, pause) => {
            for byte in bytes.iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
        }
        Deed::Stall(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // Until the client closes.
            let _ = stream.read(&mut [0]).await;
        }
    }
}

/// First byte of a client that wants to encrypt.
const TLS_HANDSHAKE: u8 = 0x16;

/// None from a client that goes away, or speaks something else.
async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
        if bytes[0] == TLS_HANDSHAKE {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|l| {
                l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
            })
            .unwrap_or(0);
        let body = &bytes[end + 4..];
        if body.len() >= length {
            return Some(Seen { head, body: serde_json::from_slice(body).unwrap_or_default() });
        }
    }
}

/// A response as bytes.
pub(crate) fn http(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    format!("{head}connection: close\r\n\r\n{body}").into_bytes()
}

/// A response that is JSON.
pub(crate) fn json(status: &str, body: &Value) -> Vec<u8> {
    http(status, &[("content-type", "application/json; charset=utf-8")], &body.to_string())
}

/// A good answer with this text.
pub(crate) fn saying(text: &str) -> Deed {
    Deed::Send(json(
        "200 OK",
        &serde_json::json!({
            "model": "m-2026",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": text },
                "finish_reason": "stop",
            }],
            "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
        }),
    ))
}
