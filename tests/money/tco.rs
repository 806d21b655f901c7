//! Total cost of ownership, computed by hand: `tco.csv` opens in any spreadsheet, which computes its formulas
//! anew; so does this test, and the model has to give the same cents.

use cutgpu::catalog::Money;
use cutgpu::cost::*;
use std::collections::BTreeMap;

/// Fewest cases.
const FEWEST: usize = 12;

/// A row by the names of its columns; empty fields are left out.
type Row = BTreeMap<&'static str, &'static str>;

fn rows() -> Vec<Row> {
    let mut lines = include_str!("tco.csv").lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &'static str| {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), names.len(), "{line}");
        names.iter().copied().zip(fields).filter(|(_, field)| !field.is_empty()).collect()
    };
    lines.map(row).collect()
}

fn number(row: &Row, name: &str) -> f64 {
    row.get(name).unwrap_or_else(|| panic!("{row:?} has no {name}")).parse().unwrap()
}

fn money(row: &Row, name: &str) -> Money {
    Money::usd(number(row, name))
}

fn owned(row: &Row) -> Owned {
    let power = |busy: &&str| Power {
        busy: Draw::new(busy.parse().unwrap()).unwrap(),
        idle: Draw::new(number(row, "idle_w")).unwrap(),
        basis: PowerBasis::User,
    };
    Owned {
        bill: Bill {
            device: money(row, "device"),
            host: money(row, "host"),
            host_share: Share::new(number(row, "host_share")).unwrap(),
            modules: money(row, "modules"),
            supply: money(row, "supply"),
        },
        writeoff: Writeoff {
            years: Years::new(number(row, "years")).unwrap(),
            loss: Loss::new(number(row, "loss")).unwrap(),
            interest: Interest::new(number(row, "interest")).unwrap(),
        },
        power: row.get("busy_w").map(power),
        tariff: Tariff { kwh: money(row, "kwh"), pue: Pue::new(number(row, "pue")).unwrap() },
        hosting: money(row, "hosting"),
    }
}

fn rented(row: &Row) -> Rented {
    let interruptions = |often: &&str| Interruptions {
        often: PerHour::new(often.parse().unwrap()).unwrap(),
        checkpoint: Duration::new(number(row, "checkpoint")).unwrap(),
        every: Some(Spacing::new(number(row, "every")).unwrap()),
        restart: Duration::new(number(row, "restart")).unwrap(),
    };
    let word = |name: &str| serde_json::Value::from(row[name]);
    Rented {
        hour: money(row, "hour"),
        share: Share::new(number(row, "share")).unwrap(),
        contract: serde_json::from_value(word("contract")).unwrap(),
        billing: serde_json::from_value(word("billing")).unwrap(),
        interruptions: row.get("often").map(interruptions),
    }
}

fn pair(row: &Row) -> Pair {
    let way = if row.contains_key("device") { Way::Owned(owned(row)) } else { Way::Rented(rented(row)) };
    let pace = Pace {
        seconds: Seconds::new(number(row, "seconds")).unwrap(),
        units: Units::new(number(row, "units")).unwrap(),
    };
    let utilisation = Utilisation::new(number(row, "utilisation")).unwrap();
    let offer = Offer { way, pace, utilisation, memory: None };
    let volume = Volume::new(number(row, "volume")).unwrap();
    Pair { a: offer, b: offer, volume, years: Years::new(number(row, "years")).unwrap() }
}

/// Value of a spreadsheet's formula of numbers, + - * / ^ and brackets.
struct Formula<'a>(&'a str);

impl Formula<'_> {
    fn value(text: &str) -> f64 {
        let mut formula = Formula(text.strip_prefix('=').expect("a formula begins with ="));
        let value = formula.sum();
        assert_eq!(formula.0, "", "left over of {text}");
        value
    }

    fn takes(&mut self, sign: char) -> bool {
        let rest = self.0.strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn sum(&mut self) -> f64 {
        let mut value = self.product();
        loop {
            match () {
                () if self.takes('+') => value += self.product(),
                () if self.takes('-') => value -= self.product(),
                () => return value,
            }
        }
    }

    fn product(&mut self) -> f64 {
        let mut value = self.power();
        loop {
            match () {
                () if self.takes('*') => value *= self.power(),
                () if self.takes('/') => value /= self.power(),
                () => return value,
            }
        }
    }

    fn power(&mut self) -> f64 {
        let base = self.atom();
        if self.takes('^') { base.powf(self.atom()) } else { base }
    }

    fn atom(&mut self) -> f64 {
        if self.takes('-') {
            return -self.atom();
        }
        if self.takes('(') {
            let value = self.sum();
            assert!(self.takes(')'), "a bracket is not closed before {}", self.0);
            return value;
        }
        let end = self.0.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        digits.parse().unwrap()
    }
}

fn cents(dollars: f64) -> String {
    format!("{dollars:.2}")
}

#[test]
fn formulas_are_computed_as_spreadsheets_do() {
    for (text, want) in
        [("=1+2*3", 7.0), ("=(1+2)*3", 9.0), ("=8/4/2", 1.0), ("=2*3^2", 18.0), ("=2^-2", 0.25)]
    {
        assert_eq!(Formula::value(text), want, "{text}");
    }
}

#[test]
fn the_model_gives_the_cents_that_a_hand_gives() {
    let rows = rows();
    for row in &rows {
        let pair = pair(row);
        let total = pair.answer(Question::Total(Side::A)).unwrap();
        assert_eq!(cents(Formula::value(row["total_formula"])), row["total_usd"], "{row:?}");
        assert_eq!(cents(total), row["total_usd"], "{row:?}");
        let Some(formula) = row.get("billion_formula") else { continue };
        let units = number(row, "volume") * 12.0 * number(row, "years");
        assert_eq!(cents(Formula::value(formula)), row["billion_usd"], "{row:?}");
        assert_eq!(cents(total / units * 1e9), row["billion_usd"], "{row:?}");
    }
    println!("cases to the cent: {}", rows.len());
    assert!(rows.len() >= FEWEST);
}
