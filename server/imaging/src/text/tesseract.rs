//! Reading text with Debian's Tesseract, as a program of its own: what it does with a stranger's picture, and how long,
//! is its own process's matter. Pictures go to it through a pipe, never through a file.
//!
//! Four views of each plane are read, enlarged: inverted, its brightest part, its darkest, and what stands out from its
//! surroundings (dependencies reference, section 9.2). A word counts from confidence 60 and three letters or digits on, or
//! one ideograph: below that, noise is full of words.

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
        let mut found = Found {
            boxes: Vec::new(),
            complete: true,
        };
        for plane in planes {
            let largest = plane.width.max(plane.height).max(1);
            let times = (LARGEST / largest).clamp(1, 3);
            let late = || Instant::now() >= deadline;
            if late() {
                found.complete = false;
                return found;
            }
            let large = plane.enlarged(times);
            for view in VIEWS {
                if late() {
                    found.complete = false;
                    return found;
                }
                let Some(answer) = self.read(&view(&large), deadline) else {
                    found.complete = false;
                    continue;
                };
                found.boxes.extend(words(&answer, times));
            }
        }
        found
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

/// Reads the words of an answer in TSV: level 5, with box, confidence and text.
fn words(answer: &str, times: usize) -> Vec<TextBox> {
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
        let (width, height) = (number(width)?.div_ceil(times), number(height)?.div_ceil(times));
        // two heights at the sides, one above and below: words that were not read stand there
        let room = height.min(64);
        let (x, y) = (left.saturating_sub(2 * room), top.saturating_sub(room));
        Some(TextBox {
            x,
            y,
            width: left + width + 2 * room - x,
            height: top + height + room - y,
            text: Some(text.to_owned()),
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
        let found = words(answer, 3);
        let texts: Vec<&str> = found.iter().filter_map(|b| b.text.as_deref()).collect();
        assert_eq!(texts, ["SMITH", "张"]);
        assert_eq!(
            found.first().map(|b| (b.x, b.y, b.width, b.height)),
            Some((10, 10, 70, 30))
        );
    }
}
