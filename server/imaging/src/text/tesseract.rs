//! Reading text with Debian's Tesseract, as a program of its own: what it does with a stranger's picture, and how long,
//! is its own process's matter. Pictures go to it through a pipe, never through a file.
//!
//! Four views of each plane are read, enlarged: inverted, its brightest part, its darkest, and what stands out from its
//! surroundings (dependencies reference, section 9.2). A word counts from confidence 60 on, and four letters or digits.
//! Shorter ones, three letters or one ideograph, are what noise is read as: they count where something else speaks for
//! them, another view that has a word in the same place, or a word beside them on the same line. Letters that somebody drew
//! do both.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Found, Plane, TextBox, TextDetector, shapes};

/// Bytes of an answer that are read.
const MOST_ANSWER: u64 = 1 << 22;
const LEAST_CONFIDENCE: f32 = 60.0;
/// Pictures are enlarged up to this width or height.
const LARGEST: usize = 2400;

/// Tesseract, where it is installed.
#[derive(Debug, Clone)]
pub struct Tesseract {
    languages: String,
    version: String,
}

impl Tesseract {
    /// Returns the program that is installed with English data; `None` where there is none. Looked for once.
    pub fn installed() -> Option<&'static Self> {
        static FOUND: OnceLock<Option<Tesseract>> = OnceLock::new();
        FOUND.get_or_init(Self::look).as_ref()
    }

    fn look() -> Option<Self> {
        let answer = |argument: &str| {
            let output = Command::new("tesseract")
                .arg(argument)
                .stdin(Stdio::null())
                .output()
                .ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success().then_some(text)
        };
        let there = answer("--list-langs")?;
        let has = |language: &&str| there.lines().any(|line| line.trim() == *language);
        let languages: Vec<&str> = ["eng", "chi_sim"].into_iter().filter(has).collect();
        let version = answer("--version")?;
        let version = version.lines().next()?.trim().to_owned();
        languages.first().filter(|first| **first == "eng")?;
        Some(Self {
            languages: languages.join("+"),
            version,
        })
    }

    /// Reads one view; `None` where the program failed or time ran out.
    fn read(&self, view: &Plane, deadline: Instant) -> Option<String> {
        let mut child = Command::new("tesseract")
            .args(["stdin", "stdout", "--psm", "11", "-l", &self.languages, "tsv"])
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, child.stdout.take()?);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut input = input;
                let head = format!("P5\n{} {}\n255\n", view.width, view.height);
                // it may be killed meanwhile
                let _ = input
                    .write_all(head.as_bytes())
                    .and_then(|()| input.write_all(&view.pixels));
            });
            let answer = scope.spawn(move || {
                let mut text = String::new();
                output.take(MOST_ANSWER).read_to_string(&mut text).ok().map(|_| text)
            });
            let finished = wait(&mut child, deadline);
            let answer = answer.join().ok().flatten();
            answer.filter(|_| finished)
        })
    }
}

/// Waits for the end of a process, or makes it end; returns whether it ended well by itself.
fn wait(child: &mut Child, deadline: Instant) -> bool {
    let mut pause = Duration::from_millis(2);
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(pause),
            Err(_) => break,
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

impl TextDetector for Tesseract {
    fn name(&self) -> String {
        format!("{} {}", self.version, self.languages)
    }

    fn every_frame(&self) -> bool {
        false
    }

    fn find(&self, planes: &[Plane], deadline: Instant) -> Found {
        let mut words = Vec::new();
        let mut complete = true;
        'planes: for plane in planes {
            let largest = plane.width.max(plane.height).max(1);
            let times = (LARGEST / largest).clamp(1, 3);
            let late = || Instant::now() >= deadline;
            if late() {
                complete = false;
                break;
            }
            let large = plane.enlarged(times);
            for (number, view) in VIEWS.iter().enumerate() {
                if late() {
                    complete = false;
                    break 'planes;
                }
                match self.read(&view(&large), deadline) {
                    Some(answer) => words.extend(words_of(&answer, times, number)),
                    None => complete = false,
                }
            }
        }
        Found {
            boxes: believed(&words).map(Word::grown).collect(),
            complete,
        }
    }
}

/// Dark text on white, as the program is trained on. One at a time: each is as large as the picture.
const VIEWS: [fn(&Plane) -> Plane; 4] = [
    |large| each(large, |v| if v >= 235 { 0 } else { 255 }),
    |large| each(large, |v| 255 - v),
    standing_out,
    |large| each(large, |v| if v <= 20 { 0 } else { 255 }),
];

fn each(large: &Plane, change: fn(u8) -> u8) -> Plane {
    Plane {
        width: large.width,
        height: large.height,
        pixels: large.pixels.iter().map(|v| change(*v)).collect(),
    }
}

fn standing_out(large: &Plane) -> Plane {
    let mut pixels = shapes::top_hat(large, 27, false);
    let most = pixels.iter().copied().max().unwrap_or(0).max(1);
    for value in &mut pixels {
        *value = 255 - u8::try_from(u16::from(*value) * 255 / u16::from(most)).unwrap_or(u8::MAX);
    }
    Plane {
        width: large.width,
        height: large.height,
        pixels,
    }
}

/// A word that was read, where it stands in the original picture.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
    text: String,
    /// Which of [`VIEWS`] it was read in.
    view: usize,
    /// Whether it counts alone.
    long: bool,
}

/// So many words are compared with each other. More are a texture, and all of them count: hiding too much is safe.
const MOST_COMPARED: usize = 4000;

/// Returns the words that count.
fn believed(words: &[Word]) -> impl Iterator<Item = &Word> {
    let many = words.len() > MOST_COMPARED;
    words
        .iter()
        .filter(move |word| many || word.long || words.iter().any(|other| other.speaks_for(word)))
}

impl Word {
    fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// Returns whether this makes it likely that another word is one: it was read in the same place in another view, or it
    /// is its neighbour on a line.
    fn speaks_for(&self, other: &Self) -> bool {
        if self == other {
            return false;
        }
        let common = |a: (u32, u32), b: (u32, u32)| a.1.min(b.1).saturating_sub(a.0.max(b.0));
        let across = common((self.left, self.right), (other.left, other.right));
        let down = common((self.top, self.bottom), (other.top, other.bottom));
        let (low, high) = (self.height().min(other.height()), self.height().max(other.height()));
        if self.view != other.view {
            return 2 * across > other.right - other.left && 2 * down > other.height();
        }
        let gap = self.left.max(other.left).saturating_sub(self.right.min(other.right));
        across == 0 && gap <= high && 2 * down > high && 10 * low >= 7 * high
    }

    /// Returns how high its letters are at most. Where texture lies behind a word, its box is often higher than the word, but
    /// letters are no more than twice as high as they are wide.
    fn letter_height(&self) -> u32 {
        let letters = u32::try_from(self.text.chars().count()).unwrap_or(u32::MAX).max(1);
        let wide = (self.right - self.left).div_ceil(letters);
        self.height().min(wide.saturating_mul(2)).min(64)
    }

    /// Returns the word as a box with room for words that were not read: two heights of its letters at its sides, one above
    /// and below, less what the box has of it already.
    fn grown(&self) -> TextBox {
        let height = self.letter_height();
        let room = (3 * height)
            .saturating_sub(self.height())
            .div_ceil(2)
            .min(height)
            .max(height / 4);
        let (x, y) = (self.left.saturating_sub(2 * height), self.top.saturating_sub(room));
        TextBox {
            x,
            y,
            width: self.right.saturating_add(2 * height) - x,
            height: self.bottom.saturating_add(room) - y,
            text: Some(self.text.clone()),
        }
    }
}

/// Reads the words of an answer in TSV: level 5, with box, confidence and text.
fn words_of(answer: &str, times: usize, view: usize) -> Vec<Word> {
    let word = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [level, _, _, _, _, _, left, top, width, height, confidence, text] = *fields.first_chunk::<12>()?;
        let text = text.trim();
        let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
        let ideographs = text.chars().filter(|c| u32::from(*c) >= 0x2E80).count();
        let sure = confidence.parse::<f32>().is_ok_and(|c| c >= LEAST_CONFIDENCE);
        if level != "5" || !sure || letters < 3 && ideographs == 0 {
            return None;
        }
        let number = |text: &str| text.parse::<u32>().ok();
        let times = u32::try_from(times.max(1)).ok()?;
        let (left, top) = (number(left)? / times, number(top)? / times);
        Some(Word {
            left,
            top,
            right: left.saturating_add(number(width)?.div_ceil(times)),
            bottom: top.saturating_add(number(height)?.div_ceil(times)),
            text: text.to_owned(),
            view,
            long: letters >= 4 || ideographs >= 2,
        })
    };
    answer.lines().filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_answer_are_boxes_of_the_picture() {
        let answer = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
            4\t1\t1\t1\t1\t0\t30\t60\t90\t30\t-1\t\n\
            5\t1\t1\t1\t1\t1\t90\t60\t90\t30\t91.5\tSMITH\n\
            5\t1\t1\t1\t1\t2\t90\t60\t90\t30\t91.5\tL\n\
            5\t1\t1\t1\t1\t3\t90\t60\t90\t30\t12\tSMITH\n\
            5\t1\t1\t1\t1\t4\t0\t0\t30\t30\t70\t张\n\
            5\tbroken";
        let words = words_of(answer, 3, 0);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["SMITH", "张"]);
        let first = words.first().map(Word::grown);
        assert_eq!(first.map(|b| (b.x, b.y, b.width, b.height)), Some((10, 10, 70, 30)));
    }

    #[test]
    fn a_box_that_is_higher_than_its_letters_has_less_room() {
        let word = |height: u32| Word {
            left: 200,
            top: 100,
            right: 280,
            bottom: 100 + height,
            text: "OSTROWIC".to_owned(),
            view: 0,
            long: true,
        };
        let rows = |height: u32| {
            let found = word(height).grown();
            (found.y, found.y + found.height)
        };
        assert_eq!(rows(14), (86, 128), "one height above and below");
        assert_eq!(
            rows(30),
            (85, 145),
            "letters of 20 rows at most: as much in all as theirs and their room"
        );
        assert_eq!(rows(90), (95, 195));
    }

    #[test]
    fn a_short_word_counts_where_another_view_or_its_neighbour_speaks_for_it() {
        let word = |left: u32, top: u32, width: u32, text: &str, view: usize, long: bool| Word {
            left,
            top,
            right: left + width,
            bottom: top + 12,
            text: text.to_owned(),
            view,
            long,
        };
        let kept = |words: &[Word]| believed(words).map(|word| word.text.clone()).collect::<Vec<_>>();
        let lee = word(100, 50, 30, "LEE", 0, false);
        assert!(kept(std::slice::from_ref(&lee)).is_empty(), "noise is read so");
        let again = word(102, 51, 28, "IEE", 2, false);
        assert_eq!(kept(&[lee.clone(), again]), ["LEE", "IEE"]);
        let elsewhere = word(102, 80, 28, "ANY", 2, false);
        assert!(kept(&[lee.clone(), elsewhere]).is_empty());
        let name = word(136, 51, 60, "OSTROW", 0, true);
        assert_eq!(kept(&[lee.clone(), name.clone()]), ["LEE", "OSTROW"]);
        let far = word(300, 51, 60, "OSTROW", 0, true);
        assert_eq!(kept(&[lee, far]), ["OSTROW"]);
        assert_eq!(
            kept(&[word(10, 10, 12, "欧", 1, false), word(24, 10, 12, "阳", 1, false)]),
            ["欧", "阳"]
        );
    }
}
