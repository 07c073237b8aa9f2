"""Clips that FFmpeg makes for these tests, small, one of each kind that decoders treat differently."""

PICTURE = "testsrc2=size=192x108:rate=25:duration=3"
SOUND = "/usr/share/sounds/alsa/Front_Center.wav"
H264 = "-c:v libx264 -preset veryfast -g 20 -bf 3"
FILMS = {
    "h264.mp4": H264,
    "h264_b_pyramid.mp4": "-c:v libx264 -g 60 -bf 8 -x264-params b-pyramid=normal:b-adapt=0",
    "h264_open_gop.mp4": f"{H264} -x264-params open-gop=1",
    "h264_intra.mp4": "-c:v libx264 -preset ultrafast -g 1",
    "h264_one_keyframe.mp4": "-c:v libx264 -preset veryfast -g 1000",
    "h264_interlaced.mp4": f"{H264} -flags +ildct+ilme",
    "h264.mkv": H264,
    "h264.ts": H264,
    "h264_fragmented.mp4": f"{H264} -movflags frag_keyframe+empty_moov",
    "h264_at_the_front.mp4": f"{H264} -movflags faststart",
    "h264_odd_width.mp4": f"{H264} -vf scale=130:90",
    "h264_bt709.mp4": f"{H264} -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv",
    "h264_variable_rate.mp4": (
        f"{H264} -vf settb=1/1000,setpts='PTS+gt(N,30)*0.5/TB+mod(N,3)*0.01/TB' -enc_time_base 1:1000 -vsync vfr"
    ),
    "hevc.mp4": "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=20:bframes=3:b-adapt=0",
    "hevc_open_gop.mp4": "-c:v libx265 -preset fast -x265-params log-level=none:keyint=20:open-gop=1:bframes=4",
    "hevc_layers.mp4": "-c:v libx265 -preset fast -x265-params log-level=none:keyint=40:temporal-layers=3:bframes=7",
    "hevc_10bit.mp4": "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none:keyint=20",
    "vp9.webm": "-c:v libvpx-vp9 -g 20 -deadline realtime -cpu-used 8",
    "vp9_hidden_frames.webm": "-c:v libvpx-vp9 -g 30 -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 5",
    "av1.mp4": "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 20 -t 2",
    "mpeg4.mp4": "-c:v mpeg4 -g 20 -bf 2",
    "mjpeg_full_range.mov": "-c:v mjpeg -pix_fmt yuvj420p -t 1",
    "one_frame.mp4": "-c:v libx264 -frames:v 1",
    "one_frame.webm": "-c:v libvpx-vp9 -frames:v 1",
    "with_sound.mp4": f"{H264} -i {SOUND} -c:a aac",
}
REWRITTEN = {
    "h264_sideways.mp4": "-i {} -c copy -metadata:s:v rotate=90",
    "h264_upside_down.mp4": "-i {} -c copy -metadata:s:v rotate=180",
    # Its edit list hides frames before the first that is shown, and with them the keyframe.
    "h264_cut.mp4": "-ss 1.3 -i {} -c copy",
}
"""Made of `h264.mp4` without encoding again."""
ALL = [*FILMS, *REWRITTEN]
TRANSFORMERS_CANNOT = ("h264.ts",)
"""torchcodec's exact mode ends before it begins in a transport stream."""
