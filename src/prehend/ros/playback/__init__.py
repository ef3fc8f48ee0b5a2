"""Images, videos and bags as the topics of a camera driver."""
