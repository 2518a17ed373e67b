//! Answers. Members stand in the order of the vendor's reference.

use serde::Serialize;
use trainyard_core::Timestamp;
use trainyard_http::Bytes;
use uuid::Uuid;

/// Where a dataset stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DatasetStatus {
    Pending,
    Processing,
    Completed,
    Failed,
}

/// Where a training job, or one algorithm's part in it, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TrainingStatus {
    Pending,
    Running,
    Completed,
    TimedOut,
    NotCompleted,
    Cancelled,
    Failed,
}

/// Where a prediction stands. Here the word is `TIMEOUT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PredictionStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Timeout,
}

/// The one answer in snake case. Holds a token: no `Debug`.
#[derive(Serialize)]
pub(crate) struct LoggedIn<'a> {
    pub(crate) access_token: String,
    pub(crate) token_type: &'static str,
    pub(crate) expires_in: u64,
    pub(crate) username: &'a str,
}

/// Holds a signed URL: no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatasetCreated {
    pub(crate) dataset_key: Uuid,
    pub(crate) status: DatasetStatus,
    pub(crate) dataset_creation_progress_url: String,
    pub(crate) dataset_upload_info: UploadInfo,
    pub(crate) number_of_buckets: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadInfo {
    pub(crate) upload_url: String,
    /// One header: its name, a colon, its value.
    pub(crate) extra_headers: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataTaken {
    pub(crate) dataset_key: Uuid,
    pub(crate) status: DatasetStatus,
    pub(crate) dataset_creation_progress_url: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatasetList {
    pub(crate) datasets: Vec<DatasetItem>,
    pub(crate) offset: u64,
    pub(crate) limit: u64,
    pub(crate) total: u64,
    /// Only when more follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_offset: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatasetItem {
    pub(crate) dataset_key: Uuid,
    pub(crate) dataset_name: String,
    pub(crate) number_of_buckets: u16,
    pub(crate) status: DatasetStatus,
    pub(crate) created_on: String,
}

/// Holds a signed URL: no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatasetRead {
    #[serde(flatten)]
    pub(crate) item: DatasetItem,
    pub(crate) description: Option<String>,
    pub(crate) dataset_creation_progress_url: String,
    /// Ours: while it has no data, for the URL of the create answer grows old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dataset_upload_info: Option<UploadInfo>,
    /// Ours: why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrainingStarted {
    pub(crate) training_job_key: Uuid,
    pub(crate) dataset_key: Uuid,
    pub(crate) status: TrainingStatus,
    pub(crate) training_job_progress_url: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrainingRead {
    pub(crate) training_job_key: Uuid,
    pub(crate) dataset_key: Uuid,
    pub(crate) status: TrainingStatus,
    pub(crate) target_performance: f64,
    pub(crate) scaling_factor: Option<u16>,
    pub(crate) achieved_performance: Option<f64>,
    /// Never null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) training_performance: Option<f64>,
    /// Never null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) test_performance: Option<f64>,
    /// There exactly when the job is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model_key: Option<Uuid>,
}

#[derive(Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrainingProgress {
    pub(crate) status: TrainingStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_performance: Option<f64>,
    pub(crate) jobs: Vec<ChildProgress>,
}

impl TrainingProgress {
    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("texts and numbers have a JSON form").into()
    }
}

#[derive(Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChildProgress {
    /// The child's own.
    pub(crate) training_job_key: Uuid,
    pub(crate) algorithm: String,
    pub(crate) status: TrainingStatus,
    /// The newest, not the best; null before the first.
    pub(crate) latest_performance: Option<f64>,
    /// At most five, newest last.
    pub(crate) recent_performances: Vec<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PredictionCreated {
    pub(crate) prediction_key: Uuid,
    pub(crate) status: PredictionStatus,
    pub(crate) prediction_creation_progress_url: String,
}

/// Holds a signed URL: no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PredictionRead {
    pub(crate) prediction_key: Uuid,
    pub(crate) model_key: Uuid,
    pub(crate) status: PredictionStatus,
    /// There exactly when the prediction is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prediction_url: Option<String>,
    /// Ours: why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// UTC in whole seconds, as in `2025-10-24T08:35:36Z`. Moments outside of the calendar are its first one.
pub(crate) fn moment(at: Timestamp) -> String {
    let first = time::OffsetDateTime::UNIX_EPOCH;
    let at = at.to_offset_date_time().filter(|at| (0..=9_999).contains(&at.year())).unwrap_or(first);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// A performance as the vendor shows it: four decimals. What is compared is compared before this.
pub(crate) fn rounded(performance: f64) -> f64 {
    (performance * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_example_is_read_and_written_as_it_is() {
        let text = include_str!("../../tests/fixtures/progress_of_the_reference.json").trim_end();
        let progress: TrainingProgress = serde_json::from_str(text).unwrap();
        assert_eq!(progress.status, TrainingStatus::Completed);
        assert_eq!(progress.jobs.len(), 4);
        for job in &progress.jobs {
            assert_eq!(job.recent_performances.last().copied(), job.latest_performance);
            assert!(job.recent_performances.iter().all(|value| rounded(*value) == *value));
        }
        assert_eq!(serde_json::to_string(&progress).unwrap(), text);
    }

    #[test]
    fn moments_are_whole_seconds() {
        let check = |millis, expected| assert_eq!(moment(Timestamp::from_millis(millis)), expected);
        check(1_761_294_936_789, "2025-10-24T08:35:36Z");
        check(0, "1970-01-01T00:00:00Z");
        check(-1, "1969-12-31T23:59:59Z");
        check(i64::MAX, "1970-01-01T00:00:00Z");
        check(i64::MIN, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn performances_have_four_decimals() {
        assert_eq!(rounded(0.919_449), 0.9194);
        assert_eq!(rounded(0.919_95), 0.92);
        assert_eq!(rounded(1.0), 1.0);
        assert_eq!(rounded(0.1 + 0.2), 0.3);
    }

    #[test]
    fn the_words_are_the_vendors() {
        fn check(value: impl Serialize, word: &str) {
            assert_eq!(serde_json::to_value(value).unwrap(), word);
        }
        check(TrainingStatus::TimedOut, "TIMED_OUT");
        check(TrainingStatus::NotCompleted, "NOT_COMPLETED");
        check(PredictionStatus::Timeout, "TIMEOUT");
        check(DatasetStatus::Processing, "PROCESSING");
    }
}
