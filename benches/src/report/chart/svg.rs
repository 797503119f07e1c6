//! [`Svg`]: a drawing, and the colours of all drawings.
//!
//! Shapes have classes instead of colours, so that one drawing is readable on a light and on a dark page. On its own
//! it brings [`STYLE`] along; a page has that once.

use crate::report::text::{add, escaped};

/// What a letter is wide, about, in the size of letters that plots have.
pub const LETTER: f64 = 6.3;

/// Colours and forms, for light and dark.
pub const STYLE: &str = "\
.plot{--ink:#1c2430;--dim:#5b6675;--grid:#e4e8ee;--axis:#aab3bf;--paper:#ffffff;--shade:#f2b84b;--good:#14804a;--bad:#c62f3b;\
--s0:#2563d8;--s1:#0c8f72;--s2:#d9650f;--s3:#8347d1;--s4:#c92a5e;--s5:#7a5c2e;--s6:#0b87ad;--s7:#66717f;--s8:#778a0c;--s9:#c2539f}\
@media(prefers-color-scheme:dark){.plot{--ink:#e6ebf2;--dim:#98a4b3;--grid:#2a323d;--axis:#566172;--paper:#161b22;--shade:#8a6a1f;--good:#4cc38a;--bad:#ff7b85;\
--s0:#6ea3ff;--s1:#3fcfa8;--s2:#ff9d4d;--s3:#b98bff;--s4:#ff6f9c;--s5:#c9a56b;--s6:#4fc4e8;--s7:#a3aebb;--s8:#b9cc3f;--s9:#f08fd0}}\
.plot text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:var(--dim)}\
.plot .ink{fill:var(--ink)}.plot .head{fill:var(--ink);font-weight:600}.plot .paper{fill:var(--paper)}\
.plot .grid{stroke:var(--grid)}.plot .axis{stroke:var(--axis)}.plot .shade{fill:var(--shade);fill-opacity:.32}\
.plot .bar{stroke:var(--ink);stroke-dasharray:4 3}\
.plot .dot{fill:var(--c);stroke:var(--paper);stroke-width:1}.plot .ring{fill:var(--paper);stroke:var(--c);stroke-width:2}\
.plot .line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}.plot .thin{fill:none;stroke:var(--c);stroke-width:1;stroke-opacity:.55}\
.plot .area{fill:var(--c)}.plot .light{fill:var(--c);fill-opacity:.55}\
.plot .s0{--c:var(--s0)}.plot .s1{--c:var(--s1)}.plot .s2{--c:var(--s2)}.plot .s3{--c:var(--s3)}.plot .s4{--c:var(--s4)}\
.plot .s5{--c:var(--s5)}.plot .s6{--c:var(--s6)}.plot .s7{--c:var(--s7)}.plot .s8{--c:var(--s8)}.plot .s9{--c:var(--s9)}\
.plot .good{--c:var(--good)}.plot .bad{--c:var(--bad)}";

/// Where a text stands to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Right of it.
    Start,
    /// Around it.
    Middle,
    /// Left of it.
    End,
}

impl Anchor {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// See the module. Lengths are in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Svg {
    /// An empty drawing; the title is for those who cannot see it.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self { width, height, title: escaped(title), body: String::new() }
    }

    fn push(&mut self, shape: std::fmt::Arguments<'_>) {
        add(&mut self.body, shape);
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A rectangle, with a text that is shown on hovering.
    pub fn rectangle(&mut self, class: &str, (x, y): (f64, f64), (w, h): (f64, f64), hint: &str) {
        let (w, hint) = (w.max(0.5), escaped(hint));
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"><title>{hint}</title></rect>"
        ));
    }

    /// A dot, with a text that is shown on hovering.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64), hint: &str) {
        let hint = escaped(hint);
        self.push(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{hint}</title></circle>"
        ));
    }

    /// A text.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let (anchor, text) = (anchor.name(), escaped(text));
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// A line through points.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)], hint: &str) {
        let mut through = String::new();
        for (x, y) in points {
            add(&mut through, format_args!("{x:.1},{y:.1} "));
        }
        let (through, hint) = (through.trim_end(), escaped(hint));
        self.push(format_args!(
            "<polyline class=\"{class}\" points=\"{through}\"><title>{hint}</title></polyline>"
        ));
    }

    /// To be put into a page that has [`STYLE`].
    pub fn within_page(&self) -> String {
        self.element("")
    }

    /// As a file.
    pub fn alone(&self) -> String {
        let paper = "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>";
        format!("{}\n", self.element(&format!("<style>{STYLE}</style>{paper}")))
    }

    fn element(&self, first: &str) -> String {
        let Self { width, height, title, body } = self;
        format!(
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">{first}{body}</svg>"
        )
    }
}
