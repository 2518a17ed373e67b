//! Photo avatars: a small generative model of the appearance in a group of photos.
