//! How good answers are.

/// The mean, over the classes that are among `expected`, of the share of that class's rows that were called right:
/// 0 to 1. Whoever always says the same has 1 over the number of those classes.
///
/// Of `said`, what is no class is wrong. 0 when there are no rows.
///
/// ```
/// use trainyard_tabular::balanced_accuracy;
///
/// // of the three 0s two were called right, of the one 1 all
/// assert_eq!(balanced_accuracy(&[0, 0, 1, 0], &[0, 1, 1, 0], 2), (2.0 / 3.0 + 1.0) / 2.0);
/// ```
///
/// # Panics
/// When there are not as many said as expected, or a class expected is not below `classes`.
#[must_use]
pub fn balanced_accuracy(expected: &[u16], said: &[u16], classes: usize) -> f64 {
    assert_eq!(expected.len(), said.len(), "an answer per row");
    let mut rows = vec![0_u64; classes];
    let mut right = vec![0_u64; classes];
    for (&expected, said) in expected.iter().zip(said) {
        rows[usize::from(expected)] += 1;
        right[usize::from(expected)] += u64::from(expected == *said);
    }
    let shares = rows.iter().zip(&right).filter(|(rows, _)| **rows > 0);
    let (sum, present) = shares.fold((0.0, 0.0), |(sum, present), (&rows, &right)| {
        (sum + right as f64 / rows as f64, present + 1.0)
    });
    if present > 0.0 { sum / present } else { 0.0 }
}
