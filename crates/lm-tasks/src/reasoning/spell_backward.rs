//! Words letter by letter from the end.

use serde::{Deserialize, Serialize};

use super::{
    Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range},
};
use crate::Error;

/// The words of our own texts that are written in small letters, one a line, sorted.
const WORDS: &str = include_str!("../../data/words.txt");

/// A word to be spelled backward. Words are of 3 to 12 letters and taken from this crate's own texts;
/// the published task has words of 3 to 10.
///
/// Content: the word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SpellBackward {
    /// Fewest letters, at least 3.
    pub min_letters: u64,
    /// Most letters, at most 12.
    pub max_letters: u64,
}

impl Default for SpellBackward {
    /// The published range.
    fn default() -> Self {
        Self { min_letters: 3, max_letters: 10 }
    }
}

impl Generate for SpellBackward {
    fn validate(&self) -> Result<(), Error> {
        let letters = (self.min_letters, self.max_letters);
        check_range("spell_backward letters", letters, (3, 12), "a range within 3 to 12")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let fits =
            |word: &&str| (self.min_letters..=self.max_letters).contains(&(word.len() as u64));
        let words: Vec<&'static str> = WORDS.lines().filter(fits).collect();
        Box::new(Word { word: draw.pick(&words), phrase: draw.index(3) })
    }
}

struct Word {
    word: &'static str,
    phrase: usize,
}

impl Instance for Word {
    fn key(&self) -> String {
        self.word.to_owned()
    }

    fn prompt(&self) -> String {
        let word = self.word;
        match self.phrase {
            0 => format!("Write this word backward, as \"dot\" becomes \"tod\": {word}"),
            1 => {
                format!("What is the word \"{word}\" when its letters are read from last to first?")
            }
            _ => format!("Reverse the letters of the word \"{word}\"."),
        }
    }

    fn form(&self) -> Form {
        Form::Words
    }

    fn styles(&self) -> usize {
        3
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let mut letters: Vec<char> = self.word.chars().collect();
        if slip == Some(0) {
            letters.remove(1);
        }
        let forward = spelled(&letters, style);
        letters.reverse();
        if slip == Some(1) {
            // Two neighbors change places; of equal ones, one is lost.
            match (1..letters.len()).find(|&i| letters[i - 1] != letters[i]) {
                Some(i) => letters.swap(i - 1, i),
                None => drop(letters.pop()),
            }
        }
        let backward = spelled(&letters, style);
        if slip == Some(2) {
            letters.pop();
        }
        let answer: String = letters.into_iter().collect();
        let lines = match style {
            0 => [
                format!("The letters are {forward}."),
                format!("From the end they are {backward}."),
                format!("Together: {answer}."),
            ],
            1 => [
                format!("Spelled out, the word is {forward}."),
                format!("Starting at the last letter, that is {backward}."),
                format!("This makes {answer}."),
            ],
            _ => [
                format!("One by one: {forward}."),
                format!("In the opposite order: {backward}."),
                format!("So the result is {answer}."),
            ],
        };
        Worked::lines(lines.into(), answer)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        vec![("letters", self.word.len() as u64)]
    }
}

fn spelled(letters: &[char], style: usize) -> String {
    let letters: Vec<String> = letters.iter().map(char::to_string).collect();
    letters.join(["-", ", ", " "][style])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_and_different() {
        let words: Vec<&str> = WORDS.lines().collect();
        assert!(words.is_sorted() && words.windows(2).all(|pair| pair[0] != pair[1]));
        for word in &words {
            let plain = word.bytes().all(|b| b.is_ascii_lowercase());
            assert!(plain && (3..=12).contains(&word.len()), "{word}");
        }
        for letters in 3..=12 {
            assert!(words.iter().filter(|word| word.len() == letters).count() >= 35, "{letters}");
        }
    }
}
