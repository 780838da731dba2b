//! Foreign text in messages of ours.

/// Characters of foreign text that a message shows.
const SHOWN: usize = 200;

/// The beginning of a text, on one line, in quotes.
pub(crate) fn snippet(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{}`", shown.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_bounded_and_tame() {
        assert_eq!(snippet("a\nb\x1b[31m"), "`a b [31m`");
        let long = snippet(&"é".repeat(1000));
        assert_eq!(long.chars().count(), SHOWN + 3);
    }
}
