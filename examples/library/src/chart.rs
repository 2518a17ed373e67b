//! Curves in a terminal.

/// Draws curves of figures, each under its letter, over the number of the figure on a logarithmic scale. Where two meet, the
/// later one in the list is seen. Empty without any figure.
///
/// ```
/// let drawn = trainyard_examples::chart(&[('a', vec![0.0, 0.5, 1.0])], 8, 3);
/// assert_eq!(drawn.lines().count(), 4);
/// assert!(drawn.lines().next().is_some_and(|top| top.starts_with("1.00") && top.ends_with('a')));
/// ```
#[must_use]
pub fn chart(curves: &[(char, Vec<f64>)], width: usize, height: usize) -> String {
    let values = || curves.iter().flat_map(|(_, values)| values.iter().copied());
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let longest = curves.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    if longest == 0 || width < 2 || height < 2 {
        return String::new();
    }
    let mut cells = vec![vec![' '; width]; height];
    for (letter, values) in curves {
        for (column, value) in
            (0..width).filter_map(|column| Some((column, values.get(place(column, width, longest))?)))
        {
            let row = nearest((high - value) / (high - low).max(f64::MIN_POSITIVE), height);
            cells[row][column] = *letter;
        }
    }
    let mut text = String::new();
    for (row, cells) in cells.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a chart has few rows")]
        let value = high - (high - low) * row as f64 / (height - 1) as f64;
        text.push_str(&format!("{value:.2} |{}\n", cells.iter().collect::<String>().trim_end()));
    }
    let last = longest.to_string();
    text + &format!("      1{last:>rest$}", rest = width - 1)
}

/// Which figure of so many stands in a column: the first in the first one, the last in the last one.
#[expect(clippy::cast_precision_loss, reason = "a chart has few columns")]
fn place(column: usize, width: usize, longest: usize) -> usize {
    let share = column as f64 / (width - 1) as f64;
    let place = (longest as f64).powf(share) - 1.0;
    (0..longest).min_by(|a, b| (*a as f64 - place).abs().total_cmp(&(*b as f64 - place).abs())).unwrap_or(0)
}

/// The row that a share from 0 to 1 falls into.
#[expect(clippy::cast_precision_loss, reason = "a chart has few rows")]
fn nearest(share: f64, height: usize) -> usize {
    let distance = |row: &usize| (share - *row as f64 / (height - 1) as f64).abs();
    (0..height).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}
