//! A text in which each token shows how deep it went.

use std::fmt::Write as _;

use causal_lm::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

/// Backgrounds from shallow to deep, of the terminal's 256 colors; all are light enough for black.
const COLORS: [u8; 6] = [255, 195, 159, 117, 111, 75];

/// Tokens with the blocks that they ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transcript {
    pieces: Vec<(String, usize)>,
    /// Blocks of the model.
    all: usize,
}

impl Transcript {
    /// Of an answer's tokens and the exits of all but the first, which runs all blocks. Special
    /// tokens have no text.
    pub(crate) fn new(
        tokenizer: &Tokenizer,
        ids: &[u32],
        exits: impl Iterator<Item = usize>,
        all: usize,
    ) -> anyhow::Result<Self> {
        let mut stream = tokenizer.stream();
        let mut pieces = Vec::new();
        for (&id, blocks) in ids.iter().zip(std::iter::once(all).chain(exits)) {
            pieces.push((clean(&stream.push(id)?), blocks));
        }
        if let Some((last, _)) = pieces.last_mut() {
            last.push_str(&clean(&stream.finish()?));
        }
        Ok(Self { pieces, all })
    }

    /// The text alone.
    pub(crate) fn text(&self) -> String {
        self.pieces.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// The text with the number of blocks behind each token, raised: `12³4⁶`.
    pub(crate) fn marked(&self) -> String {
        self.pieces.iter().filter(|(text, _)| !text.is_empty()).fold(
            String::new(),
            |mut out, (text, blocks)| {
                out.push_str(text);
                out.extend(blocks.to_string().chars().map(raised));
                out
            },
        )
    }

    /// The text on backgrounds of the terminal.
    pub(crate) fn colored(&self) -> String {
        let mut out = String::new();
        for (text, blocks) in self.pieces.iter().filter(|(text, _)| !text.is_empty()) {
            // A background that is open at the end of a line would fill it.
            for (i, line) in text.split('\n').enumerate() {
                if i > 0 {
                    out.push('\n');
                }
                if !line.is_empty() {
                    let _ = write!(out, "\x1b[30;48;5;{}m{line}\x1b[0m", self.color(*blocks));
                }
            }
        }
        out
    }

    fn color(&self, blocks: usize) -> u8 {
        let steps = COLORS.len() - 1;
        COLORS[(blocks * steps).div_ceil(self.all.max(1)).min(steps)]
    }

    /// What the backgrounds mean.
    pub(crate) fn key(&self) -> String {
        let one = |blocks: usize| format!("\x1b[30;48;5;{}m {blocks} \x1b[0m", self.color(blocks));
        let shown = [1, self.all.div_ceil(4), self.all.div_ceil(2), self.all * 3 / 4, self.all];
        let mut shown = shown.to_vec();
        shown.dedup();
        format!("blocks run: {}", shown.into_iter().map(one).collect::<Vec<_>>().join(" "))
    }

    /// A paragraph of a page; the number of blocks is on hover.
    fn html(&self) -> String {
        let all = self.all;
        let mut out = String::from("<p class=\"answer\">");
        for (text, blocks) in self.pieces.iter().filter(|(text, _)| !text.is_empty()) {
            let share = *blocks as f64 / all.max(1) as f64;
            let _ = write!(
                out,
                "<span style=\"background: rgba(47, 111, 189, {:.2})\" title=\"{blocks} of {all} \
                 blocks\">{}</span>",
                0.6 * share,
                escaped(text)
            );
        }
        out + "</p>"
    }
}

/// A page of answers, each after its heading.
pub(crate) fn page(answers: &[(String, Transcript)]) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>How deep each token went</title>\n<style>\n\
         :root { color-scheme: light dark; }\n\
         body { margin: 0 auto; max-width: 52rem; padding: 1.5rem 1rem; font: 16px/1.6 system-ui, sans-serif; }\n\
         .answer { white-space: pre-wrap; overflow-wrap: anywhere; font-family: ui-monospace, monospace; }\n\
         .answer span { border-radius: .15rem; }\n\
         </style>\n</head>\n<body>\n<h1>How deep each token went</h1>\n\
         <p>The darker its background, the more blocks a token ran; the number shows on hover.</p>\n",
    );
    for (heading, transcript) in answers {
        let _ = writeln!(out, "<h2>{}</h2>\n{}", escaped(&clean(heading)), transcript.html());
    }
    out + "</body>\n</html>\n"
}

/// What a model says must not steer the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{FFFD}' } else { c })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn raised(digit: char) -> char {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digit.to_digit(10).map_or(digit, |d| digits[d as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(pieces: &[(&str, usize)]) -> Transcript {
        let pieces = pieces.iter().map(|&(text, blocks)| (clean(text), blocks)).collect();
        Transcript { pieces, all: 12 }
    }

    #[test]
    fn every_token_shows_its_depth() {
        let shown = transcript(&[("1", 12), ("+2", 3), ("", 6), ("=\n", 1), ("<b>", 6)]);
        assert_eq!(shown.text(), "1+2=\n<b>");
        assert_eq!(shown.marked(), "1¹²+2³=\n¹<b>⁶");
        assert_eq!(
            shown.colored(),
            "\x1b[30;48;5;75m1\x1b[0m\x1b[30;48;5;159m+2\x1b[0m\x1b[30;48;5;195m=\x1b[0m\n\
             \x1b[30;48;5;117m<b>\x1b[0m"
        );
        assert!(shown.key().contains(" 12 "));
        let page = page(&[("1 < 2".into(), shown)]);
        assert!(page.contains("title=\"3 of 12 blocks\">+2</span>"), "{page}");
        assert!(page.contains("<h2>1 &lt; 2</h2>") && page.contains("&lt;b&gt;"));
        assert!(!page.contains("<b>") && !page.contains("http"));
    }

    #[test]
    fn what_is_said_steers_no_terminal() {
        let shown = transcript(&[("a\x1b[2Jb\r", 1)]);
        assert_eq!(shown.text(), "a\u{FFFD}[2Jb\u{FFFD}");
    }
}
