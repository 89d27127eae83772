//! Cameras to frames, observations, tracks, events and sealed clips.
